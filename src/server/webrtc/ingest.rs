//! A publisher's media: RTP packets onto the bus, and the feedback that its client needs.

use super::encoding::{Encoding, Taken};
use super::session::Session;
use super::track::Track;
use super::wall::Wall;
use crate::media::StreamClock;
use crate::protocol::rtcp::{Packet, packets, write};
use crate::protocol::rtp::twcc::Recorder;
use crate::protocol::rtp::{ExtensionIds, PacketView, Ssrc};
use crate::protocol::sdp::{Accepted, Negotiated};
use crate::room::Publication;
use crate::stream::{EndReason, KeyframeRequests, Layers};
use crate::time::{MediaDuration, Timestamp};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Our name in reports (RFC 3550, section 6.5.1). A receiver's needs to tell nobody apart.
const CNAME: &str = "commonroom";
/// Between receiver reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The receiving side of one publisher.
pub(super) struct Ingest {
    publication: Publication,
    session: Arc<Session>,
    /// When the stream's timeline is at zero.
    zero: Instant,
    tracks: Vec<Track>,
    extensions: ExtensionIds,
    clock: StreamClock,
    arrivals: Option<Recorder>,
    ssrc: Ssrc,
    /// Whether feedback may stand alone.
    reduced_size: bool,
    report_at: Option<Instant>,
    plain: Vec<u8>,
}

impl Ingest {
    pub(super) fn new(
        publication: Publication,
        negotiated: &Negotiated,
        session: Arc<Session>,
        wall: Wall,
    ) -> Self {
        let sections = &negotiated.sections;
        let has_arrivals =
            |section: &Accepted| section.codecs.iter().any(|codec| codec.feedback.transport_cc);
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random)
            .expect("the system's random generator cannot fail once it has started");
        Self {
            zero: wall.instant(),
            publication,
            session,
            tracks: sections.iter().filter_map(Track::new).collect(),
            extensions: negotiated.extensions(),
            clock: StreamClock::new(),
            arrivals: sections.iter().any(has_arrivals).then(Recorder::new),
            ssrc: Ssrc(u32::from_be_bytes(random)),
            reduced_size: sections.iter().all(|section| section.reduced_size_rtcp),
            report_at: None,
            plain: Vec::new(),
        }
    }

    /// Where keyframe requests of the stream's subscribers arrive.
    pub(super) fn keyframe_requests(&self) -> KeyframeRequests {
        self.publication.publisher().keyframe_requests()
    }

    /// The publisher is connected: viewers can come.
    pub(super) fn begin(&self) {
        self.publication.begin();
    }

    /// Takes a decrypted RTP packet.
    pub(super) fn rtp(&mut self, now: Instant, packet: Bytes) {
        let Ok(view) = PacketView::parse(&packet) else { return };
        let values = view.values(&self.extensions);
        if let (Some(arrivals), Some(sequence)) = (&mut self.arrivals, values.transport_cc) {
            arrivals.packet(sequence, now);
        }
        let payload_type = view.header().payload_type;
        // The section's name where it is given, else the payload type (RFC 8843, section 9.2).
        let find = |is_it: &dyn Fn(&Accepted) -> bool| {
            self.tracks.iter().position(|track| track.section().is_some_and(is_it))
        };
        let is_named = |section: &Accepted, name: &[u8]| {
            section.mid.as_ref().is_some_and(|mid| mid.as_str().as_bytes() == name)
        };
        let named = values.mid.and_then(|mid| find(&|section| is_named(section, mid)));
        let typed = || find(&|section| section.by_payload_type(payload_type).is_some());
        let Some(track) = named.or_else(typed).and_then(|at| self.tracks.get_mut(at)) else { return };
        let arrival = Timestamp::ZERO + MediaDuration::from(now.saturating_duration_since(self.zero));
        let figures = &self.session.figures;
        match track.packet(now, arrival, &view, &packet, &values, &mut self.clock) {
            Taken::Received => {}
            Taken::Recovered => {
                figures.retransmitted.fetch_add(1, Ordering::Relaxed);
            }
            Taken::Ignored => return,
        }
        figures.bytes.fetch_add(view.payload().len() as u64, Ordering::Relaxed); // usize is at most 64 bits
        figures.packets.fetch_add(1, Ordering::Relaxed);
        self.report_at.get_or_insert(now + REPORT_INTERVAL);
    }

    /// Takes a decrypted compound RTCP packet.
    pub(super) fn rtcp(&mut self, now: Instant, plain: &[u8]) {
        for packet in packets(plain).map_while(Result::ok) {
            if let Packet::SenderReport { ssrc, info, .. } = packet {
                for track in &mut self.tracks {
                    track.sender_report(now, ssrc, &info, &mut self.clock);
                }
            }
        }
    }

    /// Puts what has come since the last call onto the bus.
    pub(super) fn publish(&mut self, now: Instant) {
        for track in &mut self.tracks {
            if let Some(codec) = track.publish(now, self.publication.publisher()) {
                self.session.carries(codec);
            }
        }
    }

    /// Somebody needs a key picture of these layers.
    pub(super) fn request_keyframe(&mut self, layers: Layers) {
        self.tracks.iter_mut().for_each(|track| track.request_keyframe(layers));
    }

    /// Sends the feedback that is due: each packet to `send`, not sealed yet.
    pub(super) fn feedback(&mut self, now: Instant, mut send: impl FnMut(&[u8])) {
        for encoding in self.tracks.iter_mut().flat_map(Track::encodings_mut) {
            let Some(media) = encoding.ssrc() else { continue };
            let lost = encoding.losses(now);
            if !lost.is_empty() {
                begin(&mut self.plain, self.reduced_size, self.ssrc);
                write::nack(&mut self.plain, self.ssrc, media, &lost);
                send(&self.plain);
                self.session.figures.nacks.fetch_add(1, Ordering::Relaxed);
            }
            if encoding.asks_for_keyframe(now) {
                begin(&mut self.plain, self.reduced_size, self.ssrc);
                write::pli(&mut self.plain, self.ssrc, media);
                send(&self.plain);
                self.session.figures.keyframe_requests.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(arrivals) = &mut self.arrivals
            && arrivals.deadline().is_some_and(|at| at <= now)
        {
            // Any source stands for the transport; packets of none that we take have arrival times too.
            let media = self.tracks.iter().flat_map(Track::encodings).find_map(Encoding::ssrc);
            begin(&mut self.plain, self.reduced_size, self.ssrc);
            if arrivals.feedback(self.ssrc, media.unwrap_or_default(), &mut self.plain) {
                send(&self.plain);
            }
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = Some(now + REPORT_INTERVAL);
            let encodings = self.tracks.iter_mut().flat_map(Track::encodings_mut);
            let blocks: Vec<_> = encodings.filter_map(|encoding| encoding.report(now)).collect();
            self.plain.clear();
            write::receiver_report(&mut self.plain, self.ssrc, &blocks);
            write::source_description(&mut self.plain, self.ssrc, CNAME);
            send(&self.plain);
            self.count_repairs();
            let lost = self.tracks.iter().flat_map(Track::encodings).map(Encoding::lost).sum();
            self.session.figures.lost.store(lost, Ordering::Relaxed);
            self.session.measure(now);
        }
    }

    fn count_repairs(&mut self) {
        self.publication.publisher().stream().note_repairs(self.clock.take_repairs());
    }

    /// When [`feedback`](Self::feedback) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let arrivals = self.arrivals.as_ref().and_then(Recorder::deadline);
        let encodings = self.tracks.iter().flat_map(Track::encodings).filter_map(Encoding::deadline).min();
        [self.report_at, arrivals, encodings].into_iter().flatten().min()
    }

    /// Ends the publication.
    pub(super) fn end(mut self, now: Instant, reason: EndReason) {
        self.publish(now);
        self.count_repairs();
        drop(self.tracks);
        self.publication.end(reason);
    }
}

/// Starts a packet of feedback: where it may not stand alone, behind an empty report (RFC 3550, section 6.1).
fn begin(plain: &mut Vec<u8>, reduced_size: bool, ssrc: Ssrc) {
    plain.clear();
    if !reduced_size {
        write::receiver_report(plain, ssrc, &[]);
        write::source_description(plain, ssrc, CNAME);
    }
}
