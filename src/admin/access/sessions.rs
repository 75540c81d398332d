//! Who has signed in with a browser.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::token::{NoRandomness, TokenHash, random_text};

/// The sessions, in memory: a restart ends them all. Known by the hashes of their ids, so that the time
/// of a look-up says nothing about an id.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<SessionHash, AdminSession>>);

type SessionHash = [u8; 32];

#[derive(Debug)]
struct AdminSession {
    token: TokenHash,
    form_token: FormToken,
    began: Instant,
    used: Instant,
}

impl AdminSession {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.began) >= MAX_AGE || now.duration_since(self.used) >= MAX_IDLE
    }
}

/// What the cookie of a session holds: 256 random bits. Cannot be printed.
pub(super) struct SessionId(Zeroizing<String>);

impl SessionId {
    /// What a browser sends; any text is the id of a session or of none.
    pub(super) fn from_cookie(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// For the cookie.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    fn hash(&self) -> SessionHash {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// What shows that a change was asked for on a page of ours: a page of another origin can have a
/// browser send a cookie, but cannot read this. Cannot be printed, but into a page of its session.
#[derive(Clone)]
pub(crate) struct FormToken(Arc<Zeroizing<String>>);

impl FormToken {
    /// For the hidden field `form_token` of a form.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is it, in a time that does not say how much of it is right.
    pub(super) fn is(&self, presented: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), presented.as_bytes()).is_ok()
    }
}

impl fmt::Debug for FormToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormToken(redacted)")
    }
}

impl Sessions {
    /// Begins one for the holder of a token. With 100 of them the one that was used longest ago ends.
    pub(super) fn begin(&self, token: TokenHash) -> Result<SessionId, NoRandomness> {
        self.begin_at(token, Instant::now())
    }

    /// The token that a session was begun with, and its form token; none if there is no such session, or
    /// none any more.
    pub(super) fn find(&self, id: &SessionId) -> Option<(TokenHash, FormToken)> {
        self.find_at(id, Instant::now())
    }

    /// Ends a session, if there is one.
    pub(super) fn end(&self, id: &SessionId) {
        self.0.lock().remove(&id.hash());
    }

    /// Ends those whose token is none any more.
    pub(super) fn retain(&self, mut is_known: impl FnMut(TokenHash) -> bool) {
        self.0.lock().retain(|_, session| is_known(session.token));
    }

    fn begin_at(&self, token: TokenHash, now: Instant) -> Result<SessionId, NoRandomness> {
        let id = SessionId(random_text()?);
        let session = AdminSession {
            token,
            form_token: FormToken(Arc::new(random_text()?)),
            began: now,
            used: now,
        };
        let mut sessions = self.0.lock();
        sessions.retain(|_, session| !session.is_over(now));
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(id.hash(), session);
        Ok(id)
    }

    fn find_at(&self, id: &SessionId, now: Instant) -> Option<(TokenHash, FormToken)> {
        let mut sessions = self.0.lock();
        let session = sessions.get_mut(&id.hash())?;
        if session.is_over(now) {
            sessions.remove(&id.hash());
            return None;
        }
        session.used = now;
        Some((session.token, session.form_token.clone()))
    }
}

/// As long as a shift.
pub(super) const MAX_AGE: Duration = Duration::from_hours(12);

/// A browser that somebody walked away from.
const MAX_IDLE: Duration = Duration::from_hours(1);

const MAX_SESSIONS: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::token::Token;
    use super::*;

    fn token() -> TokenHash {
        Token::generate().unwrap().hash()
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_for_an_hour_and_after_twelve() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let id = sessions.begin_at(token(), start).unwrap();
        assert!(sessions.find_at(&id, start + MAX_IDLE).is_none());
        assert!(sessions.find_at(&id, start).is_none(), "it came back");
        let id = sessions.begin_at(token(), start).unwrap();
        let almost = Duration::from_mins(59);
        let mut now = start;
        while now + almost < start + MAX_AGE {
            now += almost;
            assert!(sessions.find_at(&id, now).is_some());
        }
        assert!(sessions.find_at(&id, start + MAX_AGE).is_none());
    }

    #[test]
    fn a_session_is_found_by_its_id_alone_and_ends_once() {
        let sessions = Sessions::default();
        let (first, second) = (token(), token());
        let ids = [first, second].map(|token| sessions.begin(token).unwrap());
        let found = |id: &SessionId| sessions.find(id).map(|(token, _)| token);
        assert_eq!(found(&ids[0]), Some(first));
        assert_eq!(found(&ids[1]), Some(second));
        for other in ["", "x", &ids[0].reveal()[1..]] {
            assert_eq!(found(&SessionId::from_cookie(other)), None, "{other}");
        }
        sessions.end(&ids[0]);
        assert_eq!(found(&ids[0]), None);
        sessions.retain(|token| token == first);
        assert_eq!(found(&ids[1]), None);
    }

    #[test]
    fn sign_ins_without_end_end_the_oldest_and_take_no_more_memory() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let second = Duration::from_secs(1);
        let first = sessions.begin_at(token(), start).unwrap();
        let last: Vec<_> = (1..=100)
            .map(|it| sessions.begin_at(token(), start + second * it).unwrap())
            .collect();
        let now = start + second * 101;
        assert!(sessions.find_at(&first, now).is_none());
        assert!(last.iter().all(|id| sessions.find_at(id, now).is_some()));
        assert_eq!(sessions.0.lock().len(), MAX_SESSIONS);
    }

    #[test]
    fn a_form_token_is_of_its_session_and_is_never_printed() {
        let sessions = Sessions::default();
        let [one, other] = [(); 2].map(|()| {
            let id = sessions.begin(token()).unwrap();
            sessions.find(&id).unwrap().1
        });
        assert!(one.is(one.reveal()) && !one.is(other.reveal()) && !one.is(""));
        assert_eq!(format!("{one:?}"), "FormToken(redacted)");
    }
}
