//! EST (RFC 7030) in front of real servers, by clients of other people.

mod clients;
mod enrol;
mod front;
mod hostile;
mod places;
mod renew;
