//! A bounded number of places for connections.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A bounded number of places, shared by its clones. `G` says which guests belong together.
#[derive(Debug)]
pub struct Room<G>(Arc<Inner<G>>);

impl<G> Clone for Room<G> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[derive(Debug)]
struct Inner<G> {
    places: usize,
    per_group: usize,
    guests: Mutex<Guests<G>>,
}

#[derive(Debug)]
struct Guests<G> {
    /// By number, which grows: the first is the oldest.
    all: BTreeMap<u64, Guest<G>>,
    sizes: HashMap<G, usize>,
    next: u64,
}

#[derive(Debug)]
struct Guest<G> {
    group: G,
    seat: Arc<Seat>,
}

/// What a place and the room know of each other.
#[derive(Debug, Default)]
struct Seat {
    /// Requests that are being answered. It rises under the room's lock only.
    busy: AtomicUsize,
    taken: Notify,
}

/// Nobody in the room, or of the group, is idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("every place is taken by a request that is being answered")
    }
}

impl std::error::Error for Full {}

impl<G: Clone + Eq + Hash + Debug> Room<G> {
    /// A room with this many places, and so many for each group. At least one of each.
    pub fn new(places: usize, per_group: usize) -> Self {
        Self(Arc::new(Inner {
            places: places.max(1),
            per_group: per_group.max(1),
            guests: Mutex::new(Guests {
                all: BTreeMap::new(),
                sizes: HashMap::new(),
                next: 0,
            }),
        }))
    }

    /// Takes a place. If there is none, an idle guest loses its own: the oldest of the group if the group has too many, else the
    /// oldest of the largest group.
    ///
    /// # Errors
    /// [`Full`]: all who could lose their place are being answered.
    pub fn enter(&self, group: G) -> Result<Place<G>, Full> {
        let seat = Arc::<Seat>::default();
        let number = self.seat(group, seat.clone())?;
        Ok(Place {
            at: Mutex::new((self.clone(), number)),
            seat,
        })
    }

    fn seat(&self, group: G, seat: Arc<Seat>) -> Result<u64, Full> {
        let mut guests = self.0.lock();
        let size = guests.sizes.get(&group).copied().unwrap_or_default();
        if size >= self.0.per_group {
            let oldest = guests.idle().find(|(_, guest)| guest.group == group);
            let oldest = oldest.map(|(number, _)| number).ok_or(Full)?;
            guests.put_out(oldest);
        } else if guests.all.len() >= self.0.places {
            // The first of equals is the oldest.
            let mut worst: Option<(usize, u64)> = None;
            for (number, guest) in guests.idle() {
                let size = guests.sizes.get(&guest.group).copied().unwrap_or_default();
                if worst.is_none_or(|(most, _)| size > most) {
                    worst = Some((size, number));
                }
            }
            let (_, number) = worst.ok_or(Full)?;
            guests.put_out(number);
        }
        let number = guests.next;
        guests.next += 1;
        *guests.sizes.entry(group.clone()).or_default() += 1;
        guests.all.insert(number, Guest { group, seat });
        Ok(number)
    }

    /// How many places are taken.
    pub fn guests(&self) -> usize {
        self.0.lock().all.len()
    }
}

impl<G> Inner<G> {
    /// A panic elsewhere does not make the list wrong: it is changed in one step.
    fn lock(&self) -> MutexGuard<'_, Guests<G>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G> Guests<G> {
    fn idle(&self) -> impl Iterator<Item = (u64, &Guest<G>)> {
        let idle = |guest: &Guest<G>| guest.seat.busy.load(Ordering::Relaxed) == 0;
        let all = self.all.iter().map(|(number, guest)| (*number, guest));
        all.filter(move |(_, guest)| idle(guest))
    }
}

impl<G: Eq + Hash> Guests<G> {
    fn remove(&mut self, number: u64) -> Option<Guest<G>> {
        let guest = self.all.remove(&number)?;
        if let Some(size) = self.sizes.get_mut(&guest.group) {
            *size -= 1;
            if *size == 0 {
                self.sizes.remove(&guest.group);
            }
        }
        Some(guest)
    }

    fn put_out(&mut self, number: u64) {
        if let Some(guest) = self.remove(number) {
            guest.seat.taken.notify_one();
        }
    }
}

/// A guest's place, given back when it is dropped.
#[derive(Debug)]
pub struct Place<G: Eq + Hash> {
    /// Locked before the room's own lock, never after it.
    at: Mutex<(Room<G>, u64)>,
    seat: Arc<Seat>,
}

impl<G: Eq + Hash> Place<G> {
    /// Ends when the place was given to somebody else; the connection ends then.
    pub async fn taken(&self) {
        self.seat.taken.notified().await;
    }

    /// Keeps the place for as long as a request is being answered.
    ///
    /// # Errors
    /// [`Full`], if the place was given away already.
    pub fn busy(&self) -> Result<Busy, Full> {
        let at = self.at();
        // Under the lock, so that nobody is put out between the question and the mark.
        let guests = at.0.0.lock();
        if !guests.all.contains_key(&at.1) {
            return Err(Full);
        }
        self.seat.busy.fetch_add(1, Ordering::Relaxed);
        Ok(Busy(self.seat.clone()))
    }

    fn at(&self) -> MutexGuard<'_, (Room<G>, u64)> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G: Clone + Eq + Hash + Debug> Place<G> {
    /// Takes a place in another room, as [`Room::enter`] does, and gives up the one in this room: for a stranger who turns out to be
    /// known.
    ///
    /// # Errors
    /// [`Full`], as for [`Room::enter`]; the old place is kept.
    pub fn move_to(&self, room: &Room<G>, group: G) -> Result<(), Full> {
        let mut at = self.at();
        let number = room.seat(group, self.seat.clone())?;
        let (old, former) = std::mem::replace(&mut *at, (room.clone(), number));
        old.0.lock().remove(former);
        Ok(())
    }
}

impl<G: Eq + Hash> Drop for Place<G> {
    fn drop(&mut self) {
        let at = self.at();
        at.0.0.lock().remove(at.1);
    }
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub struct Busy(Arc<Seat>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The addresses that one host has for the asking: one of IPv4, 2^64 of IPv6 (RFC 6177 section 2).
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_taken<G: Eq + Hash>(place: &Place<G>) -> bool {
        let at = place.at();
        !at.0.0.lock().all.contains_key(&at.1)
    }

    #[test]
    fn a_newcomer_takes_the_place_of_the_oldest_of_the_largest_group() {
        let room = Room::new(4, 4);
        let first = room.enter("berlin").expect("free");
        let flood: Vec<_> = (0..3)
            .map(|_| room.enter("mallory").expect("free"))
            .collect();
        let paris = room.enter("paris").expect("mallory waits longest");
        assert!(is_taken(&flood[0]) && !is_taken(&flood[1]) && !is_taken(&first));
        let _rome = room.enter("rome").expect("mallory has most");
        assert!(is_taken(&flood[1]) && !is_taken(&first) && !is_taken(&paris));
        // Nobody has more than one now: the oldest goes.
        let _oslo = room.enter("oslo").expect("the oldest goes");
        assert!(is_taken(&first) && !is_taken(&paris) && !is_taken(&flood[2]));
        assert_eq!(room.guests(), 4);
    }

    #[test]
    fn a_group_that_has_its_share_takes_from_itself() {
        let room = Room::new(100, 2);
        let own: Vec<_> = (0..50)
            .map(|_| room.enter("mallory").expect("its own"))
            .collect();
        assert_eq!(room.guests(), 2);
        assert!(own[..48].iter().all(is_taken) && !own[48..].iter().any(is_taken));
    }

    #[test]
    fn who_is_being_answered_keeps_the_place() {
        let room = Room::new(2, 2);
        let (first, second) = (room.enter(1).expect("free"), room.enter(1).expect("free"));
        let busy = first.busy().expect("there");
        let third = room.enter(1).expect("the second is idle");
        assert!(!is_taken(&first) && is_taken(&second));
        assert_eq!(
            second.busy().err(),
            Some(Full),
            "what was given away is gone"
        );
        let also = third.busy().expect("there");
        assert_eq!(room.enter(1).err(), Some(Full));
        assert_eq!(room.enter(2).err(), Some(Full));
        drop(busy);
        let _fourth = room.enter(2).expect("the first is idle again");
        assert!(is_taken(&first) && !is_taken(&third));
        drop((also, third));
        assert_eq!(room.guests(), 1);
    }

    #[test]
    fn who_turns_out_to_be_known_leaves_the_strangers() {
        let (strangers, known) = (Room::new(1, 1), Room::new(1, 1));
        let place = strangers.enter("192.0.2.1").expect("free");
        place.move_to(&known, "berlin").expect("free");
        assert_eq!((strangers.guests(), known.guests()), (0, 1));
        let stranger = strangers.enter("192.0.2.1").expect("free again");
        assert!(!is_taken(&place));
        let busy = place.busy().expect("there");
        assert_eq!(stranger.move_to(&known, "paris"), Err(Full));
        assert!(!is_taken(&stranger) && !is_taken(&place));
        drop(busy);
        stranger.move_to(&known, "paris").expect("berlin is idle");
        assert!(is_taken(&place) && strangers.guests() == 0);
        drop((place, stranger));
        assert_eq!((strangers.guests(), known.guests()), (0, 0));
    }

    #[test]
    fn one_host_is_one_address_of_ipv4_and_one_network_of_ipv6() {
        let of = |text: &str| neighbourhood(text.parse().expect("an address"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    proptest! {
        #[test]
        fn no_bound_is_passed_and_no_guest_is_forgotten(
            places in 1..8_usize, per_group in 1..8_usize, steps: Vec<(u8, prop::sample::Index)>
        ) {
            let room = Room::new(places, per_group);
            let (mut inside, mut busy) = (Vec::new(), Vec::new());
            for (step, which) in steps {
                match step % 4 {
                    0 | 1 => inside.extend(room.enter(step / 4 % 3)),
                    2 if !inside.is_empty() => drop(inside.swap_remove(which.index(inside.len()))),
                    3 if !inside.is_empty() => busy.extend(inside[which.index(inside.len())].busy()),
                    _ => busy.clear(),
                }
                let guests = room.0.lock();
                prop_assert!(guests.all.len() <= places);
                prop_assert_eq!(guests.sizes.values().sum::<usize>(), guests.all.len());
                prop_assert!(guests.sizes.values().all(|size| (1..=per_group).contains(size)));
                drop(guests);
                prop_assert_eq!(inside.iter().filter(|place| !is_taken(place)).count(), room.guests());
            }
        }
    }
}
