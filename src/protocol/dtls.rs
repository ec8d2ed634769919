//! Looks into the first ClientHello before a DTLS server exists: which SRTP profiles does the client offer?
//!
//! The DTLS library takes the first profile of the *client's* list that is in the server's, and browsers do not put the
//! cheapest one first. So the server is made after the ClientHello, which is in clear, with the one profile we want.

use crate::wire::{ByteReader, Truncated};

const CONTENT_HANDSHAKE: u8 = 22;
/// Type, version, epoch, sequence number, length.
const HEADER_LEN: usize = 13;
const CLIENT_HELLO: u8 = 1;
const EXTENSION_USE_SRTP: u16 = 14;
/// A ClientHello with post-quantum key shares has some 1.8 kB.
const MAX_HELLO: usize = 8_192;
/// Fragments of one ClientHello, repeated ones included.
const MAX_FRAGMENTS: usize = 32;
/// Numbers in one `use_srtp` list; IANA knows ten.
const MAX_PROFILES: usize = 32;

/// Puts the fragments of a ClientHello together (RFC 6347, section 4.2.3).
#[derive(Debug, Default)]
pub struct HelloReader {
    body: Vec<u8>,
    /// Ranges of `body` that have come, in order of arrival.
    have: Vec<(usize, usize)>,
}

/// Whether a datagram is DTLS by its first byte (RFC 7983).
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// The records of a datagram (RFC 6347, section 4.1) from `epoch` on; what is not framed as a record ends the datagram.
///
/// From epoch 1 on records are protected. Once both sides are there, one of epoch 0 is a repetition or a forgery, and
/// neither may end the session (section 4.1.2.7).
pub fn records_from(epoch: u16, datagram: &[u8]) -> Vec<u8> {
    let (mut kept, mut rest) = (Vec::new(), datagram);
    while let Some(header) = rest.first_chunk::<HEADER_LEN>() {
        let length = HEADER_LEN + usize::from(u16::from_be_bytes([header[11], header[12]]));
        let framed = matches!(header[0], 20..=25) && header[1] == 0xfe;
        let Some((record, after)) = rest.split_at_checked(length).filter(|_| framed) else { break };
        if u16::from_be_bytes([header[3], header[4]]) >= epoch {
            kept.extend_from_slice(record);
        }
        rest = after;
    }
    kept
}

impl HelloReader {
    /// Takes a datagram. Once the ClientHello is complete: the profile numbers of its `use_srtp`, in the client's order,
    /// empty if it has none. Whatever is not part of a ClientHello is passed over.
    pub fn push(&mut self, datagram: &[u8]) -> Option<Vec<u16>> {
        let mut records = ByteReader::new(datagram);
        // A record that ends too early ends the datagram; what came before it counts.
        while !records.is_empty() {
            if self.record(&mut records).is_err() {
                break;
            }
        }
        self.is_complete().then(|| profiles(&self.body).unwrap_or_default())
    }

    /// One record of the datagram (RFC 6347, section 4.1): type, version, epoch, sequence number, length.
    fn record(&mut self, records: &mut ByteReader<'_>) -> Result<(), Truncated> {
        let content = records.u8()?;
        records.bytes(2)?;
        let epoch = records.u16()?;
        records.bytes(6)?;
        let length = records.u16()?;
        let mut messages = ByteReader::new(records.bytes(length.into())?);
        if content == CONTENT_HANDSHAKE && epoch == 0 {
            while !messages.is_empty() {
                self.message(&mut messages)?;
            }
        }
        Ok(())
    }

    /// One handshake message (section 4.2.2): type, length, number, and the fragment's place and size.
    fn message(&mut self, record: &mut ByteReader<'_>) -> Result<(), Truncated> {
        let kind = record.u8()?;
        let total = record.u24()? as usize; // 24 bits fit
        record.bytes(2)?;
        let (offset, length) = (record.u24()? as usize, record.u24()? as usize);
        let fragment = record.bytes(length)?;
        let fits = total > 0 && total <= MAX_HELLO && offset + length <= total;
        if kind != CLIENT_HELLO || !fits || self.have.len() >= MAX_FRAGMENTS {
            return Ok(());
        }
        if self.body.len() != total {
            // The first fragment, or another ClientHello: that one counts from here on.
            self.body = vec![0; total];
            self.have.clear();
        }
        if let Some(place) = self.body.get_mut(offset..offset + length) {
            place.copy_from_slice(fragment);
            self.have.push((offset, offset + length));
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let mut have = self.have.clone();
        have.sort_unstable();
        let reach =
            have.iter().fold(0, |reach, (from, to)| if *from <= reach { reach.max(*to) } else { reach });
        !self.body.is_empty() && reach == self.body.len()
    }
}

/// The list in `use_srtp` (RFC 5764, section 4.1.1) of a ClientHello's body.
fn profiles(body: &[u8]) -> Result<Vec<u16>, Truncated> {
    let mut hello = ByteReader::new(body);
    hello.bytes(2 + 32)?; // version, random
    for _ in 0..2 {
        short_vector(&mut hello)?; // session id, cookie
    }
    long_vector(&mut hello)?; // cipher suites
    short_vector(&mut hello)?; // compression methods
    let mut extensions = ByteReader::new(long_vector(&mut hello)?);
    loop {
        let kind = extensions.u16()?;
        let mut extension = ByteReader::new(long_vector(&mut extensions)?);
        if kind == EXTENSION_USE_SRTP {
            let list = long_vector(&mut extension)?;
            let numbers = list.chunks_exact(2).map(|number| u16::from_be_bytes([number[0], number[1]]));
            return Ok(numbers.take(MAX_PROFILES).collect());
        }
    }
}

fn short_vector<'a>(reader: &mut ByteReader<'a>) -> Result<&'a [u8], Truncated> {
    let length = reader.u8()?;
    reader.bytes(length.into())
}

fn long_vector<'a>(reader: &mut ByteReader<'a>) -> Result<&'a [u8], Truncated> {
    let length = reader.u16()?;
    reader.bytes(length.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello_body(profiles: Option<&[u16]>) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.extend([0, 0]); // no session id, no cookie
        body.extend([0, 2, 0xc0, 0x2b, 1, 0]);
        let mut extensions = vec![0, 23, 0, 0]; // extended master secret
        if let Some(profiles) = profiles {
            let list = profiles.len() as u16 * 2;
            extensions.extend([0, 14]);
            extensions.extend((list + 3).to_be_bytes());
            extensions.extend(list.to_be_bytes());
            extensions.extend(profiles.iter().flat_map(|p| p.to_be_bytes()));
            extensions.push(0);
        }
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        body
    }

    fn fragment(body: &[u8], from: usize, to: usize) -> Vec<u8> {
        let u24 = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
        let mut message = vec![CLIENT_HELLO];
        message.extend(u24(body.len()));
        message.extend([0, 0]);
        message.extend(u24(from));
        message.extend(u24(to - from));
        message.extend(&body[from..to]);
        let mut record = vec![CONTENT_HANDSHAKE, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        record.extend((message.len() as u16).to_be_bytes());
        record.extend(message);
        record
    }

    #[test]
    fn reads_the_offered_profiles() {
        let body = hello_body(Some(&[1, 8, 7]));
        assert_eq!(HelloReader::default().push(&fragment(&body, 0, body.len())), Some(vec![1, 8, 7]));
        let body = hello_body(None);
        assert_eq!(HelloReader::default().push(&fragment(&body, 0, body.len())), Some(vec![]));
    }

    #[test]
    fn fragments_come_in_any_order_and_repeated() {
        let body = hello_body(Some(&[7]));
        let mut reader = HelloReader::default();
        assert_eq!(reader.push(&fragment(&body, 30, body.len())), None);
        assert_eq!(reader.push(&fragment(&body, 30, body.len())), None);
        assert_eq!(reader.push(&fragment(&body, 0, 20)), None);
        let both = [fragment(&body, 10, 25), fragment(&body, 24, 40)].concat();
        assert_eq!(reader.push(&both), Some(vec![7]), "two records in one datagram, overlapping");
    }

    #[test]
    fn other_records_are_passed_over() {
        let body = hello_body(Some(&[7]));
        let good = fragment(&body, 0, body.len());
        let mut epoch_one = good.clone();
        epoch_one[4] = 1;
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
        assert_eq!(HelloReader::default().push(&epoch_one), None);
        assert_eq!(HelloReader::default().push(&[&alert[..], &good].concat()), Some(vec![7]));
        for length in 0..good.len() {
            assert_eq!(HelloReader::default().push(&good[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn records_are_told_by_epoch_and_garbage_ends_them() {
        let (early, mut late) = (fragment(&[1; 20], 0, 20), fragment(&[2; 9], 0, 9));
        late[4] = 1;
        let both = [&early[..], &late, &[22, 0xfe, 0xfd, 0]].concat();
        assert_eq!(records_from(0, &both), [&early[..], &late].concat());
        assert_eq!(records_from(1, &both), late);
        for garbage in [&[][..], &[0x16; 1_400], &early[..early.len() - 1], &[26; 13]] {
            assert!(records_from(0, garbage).is_empty());
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let mut huge = fragment(&[1; 100], 0, 50);
        huge[14..17].copy_from_slice(&[0xff, 0xff, 0xff]);
        let mut reader = HelloReader::default();
        assert_eq!(reader.push(&huge), None);
        assert!(reader.body.is_empty());
        let body = hello_body(Some(&[7]));
        for _ in 0..100 {
            reader.push(&fragment(&body, 0, 20));
        }
        assert_eq!(reader.have.len(), MAX_FRAGMENTS);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(cuts in prop::collection::btree_set(1usize..60, 0..5), reversed in any::<bool>()) {
            let body = hello_body(Some(&[1, 7]));
            let mut edges: Vec<usize> = cuts.into_iter().filter(|cut| *cut < body.len()).collect();
            edges.insert(0, 0);
            edges.push(body.len());
            let mut fragments: Vec<_> = edges.windows(2).map(|edge| fragment(&body, edge[0], edge[1])).collect();
            if reversed {
                fragments.reverse();
            }
            let mut reader = HelloReader::default();
            let answers: Vec<_> = fragments.iter().map(|datagram| reader.push(datagram)).collect();
            let (last, before) = answers.split_last().unwrap();
            prop_assert_eq!(last, &Some(vec![1, 7]));
            prop_assert!(before.iter().all(Option::is_none));
        }
    }
}
