//! DTLS with a peer that keeps to the protocol up to a point: both sides are ours, and what travels between them is spoilt.

use commonroom::protocol::sdp::DtlsRole;
use commonroom::server::webrtc::dtls::{Dtls, Identity, Progress};
use std::sync::LazyLock;
use std::time::Instant;

/// Making a certificate takes longer than all the rest.
static IDENTITY: LazyLock<Identity> =
    LazyLock::new(|| Identity::generate().expect("the system has random numbers"));

/// Flights are repeated at most so often: a handshake that does not come about is given up by its owner.
const TIMEOUTS: usize = 4;

/// A handshake of which single datagrams are changed, lost, doubled or cut. Of each change: which datagram, what, where.
pub(crate) fn handshake(input: &[u8]) {
    let mut pair = Pair::new();
    pair.converse(input.as_chunks().0);
}

/// A handshake that comes about, and then datagrams of any kind to either side, each with its length before it.
pub(crate) fn established(input: &[u8]) {
    let mut pair = Pair::new();
    let sent = pair.converse(&[]);
    assert!(pair.connected.iter().all(|connected| *connected), "an undisturbed handshake comes about");
    let mut rest = input;
    while let Some(([kind, length], after)) = rest.split_first_chunk() {
        let (datagram, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let side = usize::from(kind & 1);
        // What was sent before comes again, with these bytes over its beginning, or just these bytes.
        let mut again = sent[usize::from(kind >> 2) % sent.len()].clone();
        again.iter_mut().zip(datagram).for_each(|(byte, new)| *byte = *new);
        let datagram = if kind & 2 == 0 { datagram } else { &again };
        if pair.sides[side].handle(pair.now, datagram).is_err() {
            return;
        }
    }
    for side in &mut pair.sides {
        side.close(pair.now);
    }
    pair.converse(&[]);
}

struct Pair {
    sides: [Dtls; 2],
    connected: [bool; 2],
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let side = |role| Dtls::new(IDENTITY.clone(), role, vec![IDENTITY.fingerprint().clone()]);
        let now = Instant::now();
        let mut client = side(DtlsRole::Client);
        client.begin(now).expect("a client can always begin");
        Self { sides: [client, side(DtlsRole::Server)], connected: [false; 2], now }
    }

    /// Carries datagrams to and fro until nothing more comes, changed as `changes` say, and gives them as they were sent.
    fn converse(&mut self, changes: &[[u8; 4]]) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        for _ in 0..=TIMEOUTS {
            while let Some((to, datagram)) = self.next() {
                let number = sent.len();
                sent.push(datagram.clone());
                let mut arriving = vec![datagram];
                for change in changes.iter().filter(|change| usize::from(change[0]) == number) {
                    spoil(&mut arriving, *change);
                }
                for datagram in arriving {
                    match self.sides[to].handle(self.now, &datagram) {
                        Ok(Progress::Connected(_)) => self.connected[to] = true,
                        Ok(Progress::None) => {}
                        Ok(Progress::Closed) | Err(_) => return sent,
                    }
                }
            }
            let Some(deadline) = self.sides.iter().filter_map(Dtls::poll_timeout).min() else { break };
            self.now = self.now.max(deadline);
            for side in &mut self.sides {
                if side.handle_timeout(self.now).is_err() {
                    return sent;
                }
            }
        }
        sent
    }

    /// The next datagram, and to which side it goes.
    fn next(&mut self) -> Option<(usize, Vec<u8>)> {
        let [client, server] = &mut self.sides;
        let from_client = client.poll_transmit().map(|datagram| (1, datagram.to_vec()));
        from_client.or_else(|| server.poll_transmit().map(|datagram| (0, datagram.to_vec())))
    }
}

fn spoil(arriving: &mut Vec<Vec<u8>>, [_, what, at, value]: [u8; 4]) {
    let Some(datagram) = arriving.last_mut().filter(|datagram| !datagram.is_empty()) else { return };
    // Two bytes of place reach into a certificate.
    let place = (usize::from(at) + 256 * usize::from(what >> 4)) % datagram.len();
    match what & 7 {
        0 => drop(arriving.pop()),
        1 => datagram.truncate(place),
        2 => {
            let copy = datagram.clone();
            arriving.push(copy);
        }
        3 => datagram.insert(place, value),
        4 => drop(datagram.remove(place)),
        5 => datagram[place] = value,
        _ => datagram[place] ^= value,
    }
}

pub(crate) fn handshake_seeds() -> Vec<Vec<u8>> {
    // Nothing spoilt; each flight lost, doubled, and with one byte changed; the server's certificate cut.
    let changes = |what: u8| (0..6).map(move |number| vec![number, what, 30, 0x55]);
    [vec![]].into_iter().chain([0, 2, 5].into_iter().flat_map(changes)).chain([vec![1, 0x31, 0, 0]]).collect()
}

pub(crate) fn established_seeds() -> Vec<Vec<u8>> {
    let record = |kind: u8, epoch: u8, body: &[u8]| {
        let head = [kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9, 0, body.len() as u8];
        [&head[..], body].concat()
    };
    let datagrams = [
        record(20, 0, &[1]),
        record(21, 0, &[1, 0]),
        record(22, 0, &[1, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0]),
        record(21, 1, &[7; 26]),
        record(22, 1, &[7; 40]),
        record(23, 1, &[7; 60]),
        [record(23, 1, &[7; 60]), record(25, 2, &[7; 9])].concat(),
    ];
    let sized = |kind: u8, datagram: &Vec<u8>| [&[kind, datagram.len() as u8][..], datagram].concat();
    let mut seeds: Vec<_> = datagrams.iter().map(|datagram| sized(1, datagram)).collect();
    seeds.push(
        datagrams.iter().flat_map(|datagram| [sized(0, datagram), sized(1, datagram)].concat()).collect(),
    );
    // All that was sent once more, as it was.
    seeds.push((0..6).flat_map(|number| [4 * number + 2, 0, 4 * number + 3, 0]).collect());
    seeds
}
