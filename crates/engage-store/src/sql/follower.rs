//! Events as they come.

use std::collections::HashMap;
use std::io;

use jiff::Timestamp;

use super::pages::{self, Newest, SumOfNewest};
use super::reader::StoreReader;
use crate::query::EventPosition;
use crate::{
    DeviceEvent, DeviceId, EventFilter, EventOrder, EventPageToken, EventQuery, PageLimit,
};

impl StoreReader {
    /// The events that a filter lets through, now and later.
    pub fn follow(&self, filter: EventFilter) -> EventFollower<'_> {
        EventFollower::new(self, filter)
    }
}

/// Reads the events of one device or of all, and each time what was added since the last.
#[derive(Debug)]
pub struct EventFollower<'a> {
    reader: &'a StoreReader,
    filter: EventFilter,
    /// The newest event that was read of each device, or need not be.
    read_to: HashMap<DeviceId, i64>,
    /// The sum of all devices' newest numbers when that was so; unknown before the first reading.
    sum: Option<SumOfNewest>,
    left_out: Vec<String>,
}

impl<'a> EventFollower<'a> {
    fn new(reader: &'a StoreReader, filter: EventFilter) -> Self {
        Self {
            reader,
            filter,
            read_to: HashMap::new(),
            sum: None,
            left_out: Vec::new(),
        }
    }

    /// Hands over what has not been read yet: by device, and in the order in which it was stored.
    /// One statement where there is nothing new.
    ///
    /// An error of `found` ends it and comes back.
    pub fn read(
        &mut self,
        found: &mut impl FnMut(&DeviceEvent) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.filter.device.is_some() {
            return self.read_pages(self.filter.device, found);
        }
        let sum = self.reader.read(pages::sum_of_newest)?;
        if self.sum == Some(sum) {
            return Ok(());
        }
        let Newest {
            devices: newest,
            sum,
            left_out,
        } = self.reader.read(pages::newest)?;
        self.left_out.extend(left_out);
        match (self.sum, self.filter.since) {
            (None, None) => {
                self.read_pages(None, found)?;
                self.pass_over(&newest);
            }
            (None, Some(since)) => self.pass_over_older(&newest, since)?,
            (Some(_), _) => {}
        }
        for &(device, newest) in &newest {
            if self.read_to(device) < newest {
                self.read_pages(Some(device), found)?;
            }
        }
        self.pass_over(&newest);
        self.sum = Some(sum);
        Ok(())
    }

    /// What is wrong with rows that were left out since this was asked: perhaps more than once.
    pub fn take_left_out(&mut self) -> Vec<String> {
        std::mem::take(&mut self.left_out)
    }

    /// Reads to the end of one device or of all.
    fn read_pages(
        &mut self,
        device: Option<DeviceId>,
        found: &mut impl FnMut(&DeviceEvent) -> io::Result<()>,
    ) -> io::Result<()> {
        let read_to = |device| {
            EventPageToken(EventPosition::Filed {
                filed_at: 0,
                device,
                seq: self.read_to(device),
            })
        };
        let mut query = EventQuery {
            filter: EventFilter {
                device,
                ..self.filter
            },
            order: EventOrder::ByDevice,
            after: device.map(read_to),
            limit: PageLimit::MAX,
        };
        loop {
            let page = self.reader.events(&query)?;
            self.left_out.extend(page.left_out);
            for event in &page.events {
                found(event)?;
                self.read_to.insert(event.device, event.seq);
            }
            if page.next.is_none() {
                return Ok(());
            }
            query.after = page.next;
        }
    }

    fn read_to(&self, device: DeviceId) -> i64 {
        self.read_to.get(&device).copied().unwrap_or(0)
    }

    /// Need not be read again, whether or not the filter let them through.
    fn pass_over(&mut self, newest: &[(DeviceId, i64)]) {
        for &(device, newest) in newest {
            let read_to = self.read_to.entry(device).or_default();
            *read_to = newest.max(*read_to);
        }
    }

    /// Years of events are not read for those of a night.
    fn pass_over_older(&mut self, newest: &[(DeviceId, i64)], since: Timestamp) -> io::Result<()> {
        self.pass_over(newest);
        let before = pages::before_first_since;
        let before = self.reader.read(async |it| before(it, since).await)?;
        self.read_to.extend(before);
        Ok(())
    }
}
