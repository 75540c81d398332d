//! What a store promises, whatever engine keeps it: every rule on SQLite and PostgreSQL.

mod admin;
mod adoption;
mod call_in;
mod databases;
mod engine;
mod event_log;
mod eviction;
mod large;
mod oldest_first;
mod orders;
mod pages;
pub(crate) mod postgres;
mod properties;
mod rotation;
mod size;
mod views;

use jiff::Timestamp;

use crate::{AuditBatch, Call, DeviceId};
use engine::TestEngine;

/// A test for each rule and engine. Where PostgreSQL is not installed its tests say so, and fail
/// under CI.
macro_rules! rules {
    ($($module:ident::$rule:ident,)+) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $rule() {
                super::$module::$rule(&super::TestEngine::sqlite()).await;
            })+
        }

        mod postgresql {
            $(#[tokio::test]
            async fn $rule() {
                if let Some(engine) = super::TestEngine::postgres() {
                    super::$module::$rule(&engine).await;
                }
            })+
        }
    };
}

rules! {
    adoption::of_each_kind_the_newest_counts_in_whatever_order_hosts_see_it,
    adoption::an_address_that_many_serial_numbers_share_says_nothing_of_one_of_them,
    adoption::a_fetch_in_a_devices_name_counts_where_it_came_from_the_devices_address,
    adoption::devices_are_paged_through_and_only_those_that_were_seen_since,
    adoption::what_is_stored_later_is_found_by_when_it_was_stored,
    rotation::a_rotation_survives_a_restart_and_is_changed_by_who_knows_its_revision,
    rotation::of_many_who_change_a_rotation_at_once_one_does,
    rotation::a_rotation_that_this_program_cannot_read_is_an_error_and_nothing_else_is,
    rotation::each_host_that_lives_says_what_it_serves,
    call_in::the_first_audits_are_created_and_the_next_ones_are_not,
    call_in::an_event_is_in_the_documented_format,
    call_in::a_batch_that_arrives_again_is_stored_once_across_restart_and_month,
    call_in::what_comes_behind_a_batch_that_was_not_heard_to_be_acknowledged_is_stored_alone,
    call_in::many_devices_at_once_lose_nothing_and_mix_nothing,
    call_in::alerts_have_their_own_log_and_an_empty_batch_leaves_nothing,
    call_in::a_large_batch_is_stored_whole,
    call_in::an_upload_is_kept_and_its_secrets_are_not_shown,
    call_in::observations_survive_a_restart,
    call_in::a_fetch_is_credited_once_to_whom_it_names_or_who_calls_in_from_its_address,
    call_in::of_whom_nothing_is_stored_there_is_no_record_until_something_is,
    databases::a_bad_database_is_refused_and_the_last_good_one_stays,
    databases::a_database_that_is_taken_away_is_sent_no_more_where_its_folder_is_ours_alone,
    databases::a_database_that_is_set_stays_until_another_file_is_dropped,
    databases::a_file_that_lay_there_before_a_database_was_set_is_not_newer,
    databases::what_is_set_is_not_taken_back_with_a_file_that_says_the_same,
    databases::a_database_is_changed_by_who_knows_its_version,
    databases::of_many_who_change_the_same_version_one_does,
    databases::what_is_dropped_is_found_and_is_removed_by_who_dropped_it,
    databases::who_asks_for_a_database_is_not_the_device,
    call_in::who_sent_a_body_that_is_refused_is_known,
    call_in::the_newest_refused_bodies_of_a_device_can_be_read_byte_for_byte,
    call_in::one_network_brings_a_bounded_number_of_new_devices_and_known_ones_are_taken,
    call_in::text_of_every_script_is_kept,
    event_log::a_clock_that_is_set_back_over_the_end_of_a_month_changes_no_order,
    event_log::a_batch_of_events_keeps_its_limits_and_is_of_one_kind,
    event_log::a_cursor_survives_a_restart_and_is_of_one_device,
    event_log::what_is_set_aside_can_be_read_and_is_not_delivered_again,
    event_log::who_waits_is_told_and_who_has_all_is_not_pending,
    event_log::a_device_is_leased_to_one_host_at_a_time,
    event_log::a_follower_reads_each_event_once_and_only_what_it_asked_for,
    eviction::where_places_run_out_the_unproven_device_that_was_seen_longest_ago_goes,
    eviction::what_a_subscriber_has_not_taken_keeps_its_device_and_who_returns_begins_anew,
    eviction::a_database_of_the_first_schema_is_told_who_is_proven,
    pages::devices_are_found_by_each_condition_and_wildcards_are_letters,
    pages::events_are_found_by_device_kind_and_time_in_both_orders,
    pages::long_events_make_short_pages,
    size::the_last_tenth_is_for_registered_devices,
    size::a_store_that_takes_as_much_as_it_may_keeps_what_it_has_and_takes_no_more,
    pages::pages_are_the_sorted_set_whatever_is_added_between_them,
    orders::devices_are_paged_through_in_each_order,
    orders::a_page_token_of_another_order_is_refused,
    orders::devices_are_found_by_a_part_of_their_doors_name_in_each_order,
    orders::a_door_that_is_called_otherwise_is_found_by_its_new_name,
    oldest_first::a_follower_gets_what_is_stored_later_later_whatever_clocks_say,
    oldest_first::with_many_hosts_at_once_a_follower_misses_nothing_and_gets_nothing_twice,
    oldest_first::a_follower_of_a_code_is_given_that_code_alone_and_goes_on_behind_the_others,
    oldest_first::what_was_stored_by_the_third_schema_comes_first_and_is_found,
    oldest_first::a_token_of_another_question_is_refused,
    admin::devices_are_counted_by_site_and_by_battery,
    admin::a_device_is_counted_once_in_each_hour_in_which_it_calls,
    admin::changes_are_recorded_and_read_from_the_newest_on,
    admin::a_request_with_a_key_is_done_once_and_answered_the_same,
    admin::of_many_requests_with_one_key_one_is_reserved,
    properties::every_acknowledged_event_is_there_exactly_once_and_in_order,
    views::the_views_have_the_promised_columns,
    views::who_may_only_read_the_views_sees_what_was_stored_and_nothing_else,
}

fn device(number: u64) -> DeviceId {
    format!("{number:016X}").parse().unwrap()
}

fn call(number: u64, moment: &str) -> Call {
    Call {
        device: device(number),
        peer: "10.44.0.7".parse().unwrap(),
        is_authenticated: false,
        is_listed: false,
        received_at: at(moment),
    }
}

fn at(moment: &str) -> Timestamp {
    moment.parse().unwrap()
}

/// `events` events that no other `seed` has.
fn batch(seed: usize, events: usize) -> AuditBatch {
    let events: Vec<String> = (0..events)
        .map(|event| format!(r#"{{"event":"{seed:04X}{event:04X}","time":"20261123021259"}}"#))
        .collect();
    AuditBatch::parse(format!(r#"{{"asyncEvents":[{}]}}"#, events.join(",")).as_bytes()).unwrap()
}

fn codes_of(seed: usize, events: usize) -> Vec<String> {
    (0..events)
        .map(|event| format!("{seed:04X}{event:04X}"))
        .collect()
}

const NOVEMBER: &str = "2026-11-23T02:13:05Z";
const DECEMBER: &str = "2026-12-01T00:00:01Z";

/// Makes a database one of the third schema again.
const UNDO_SCHEMA_4: [&str; 14] = [
    "DROP INDEX devices_door_name",
    "DROP INDEX devices_search",
    "DROP INDEX devices_last_seen",
    "DROP INDEX devices_battery",
    "DROP INDEX devices_site_last_seen",
    "DROP INDEX events_code",
    "ALTER TABLE devices DROP COLUMN name_key",
    "ALTER TABLE devices DROP COLUMN battery_millis",
    "DROP TABLE counters",
    "DROP TABLE appended",
    "DROP TABLE call_ins",
    "DROP TABLE admin_events",
    "DROP TABLE idempotency",
    "UPDATE schema_version SET version = 3",
];
