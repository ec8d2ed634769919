//! One peer: ICE, DTLS, SRTP and RTP driven together. Bytes, the path they came by and the time go in; what is to be sent
//! goes into the batch, and what the owner must do is said by events.

use super::batch::Batch;
use super::dtls::{Connected, Dtls, DtlsError, Identity, Progress};
use super::feed::Feed;
use super::ingest::Ingest;
use super::leave::Leave;
use super::line::Share;
use super::path::{ConnectionId, Path, Via};
use super::presence::Presence;
use super::session::{Session, SessionKind};
use super::viewer::{Sender, Viewer, send_rtcp};
use super::wall::Wall;
use crate::bridge::{RefusalMark, packet_codecs};
use crate::codec::{Codec, MediaKind};
use crate::protocol::dtls::is_dtls;
use crate::protocol::ice::{Agent, Check, Verdict, is_stun};
use crate::protocol::rtcp::{Packet, packets};
use crate::protocol::sdp::Negotiated;
use crate::protocol::srtp::{Opener, Sealer};
use crate::room::Publication;
use crate::stream::{EndReason, KeyframeRequests, Layers, Stream};
use bytes::Bytes;
use metrics::Counter;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// From the offer to media keys. A peer that needs longer has lost its way, and hears so within 10 s.
pub(super) const ESTABLISH: Duration = Duration::from_millis(9_500);
/// Between sender reports, behind those that come with the first packets.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A peer that waits for its first check. It may go to any thread.
pub(super) struct Seed {
    pub(super) session: Arc<Session>,
    pub(super) negotiated: Negotiated,
    pub(super) purpose: Purpose,
    pub(super) wall: Wall,
}

/// What a peer is to do once it is connected.
pub(super) enum Purpose {
    /// Its media goes onto the bus.
    Publish(Publication),
    /// It gets a stream.
    Watch {
        stream: Stream,
        cname: Arc<str>,
        share: Arc<Share>,
        /// A track that could not be agreed on.
        refused: Option<RefusalMark>,
    },
}

impl Purpose {
    /// The stream that is published or watched.
    pub(super) fn stream(&self) -> Stream {
        match self {
            Self::Publish(publication) => publication.publisher().stream(),
            Self::Watch { stream, .. } => stream.clone(),
        }
    }
}

/// The peer, on the thread of its shard.
pub(super) struct Peer {
    session: Arc<Session>,
    negotiated: Negotiated,
    agent: Agent<Path>,
    /// Of a connected publisher.
    presence: Option<Presence>,
    dtls: Dtls,
    opener: Option<Opener>,
    role: Role,
    wall: Wall,
    established_by: Option<Instant>,
    report_at: Option<Instant>,
    dropped: Counter,
}

enum Role {
    Publisher {
        ingest: Box<Ingest>,
        sealer: Option<Sealer>,
        scratch: Vec<u8>,
    },
    Viewer {
        stream: Stream,
        cname: Arc<str>,
        share: Arc<Share>,
        place: Option<Place>,
        _refused: Option<RefusalMark>,
    },
}

/// A viewer's place in a feed.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) viewer: Rc<RefCell<Viewer>>,
    pub(super) feed: Rc<RefCell<Feed>>,
}

/// What the owner of a peer must do.
pub(super) enum Event {
    /// Datagrams that come by this path are for this peer.
    PathAdded(Path),
    /// They are no more.
    PathRemoved(Path),
    /// Media can flow: a viewer wants a place in a feed, a publisher to hear of keyframe requests.
    Connected(Option<Box<Viewer>>),
    /// The peer is at its end and must be removed.
    Gone(Leave),
}

/// What a peer works with while it is called.
pub(super) struct Hands<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) events: &'a mut Vec<Event>,
}

impl Peer {
    pub(super) fn new(seed: Seed, identity: &Identity, now: Instant) -> Self {
        let remote = &seed.negotiated.remote;
        let established_by = seed.session.created + ESTABLISH;
        let dtls = Dtls::new(identity.clone(), seed.negotiated.dtls, remote.fingerprints.clone());
        let role = match seed.purpose {
            Purpose::Publish(publication) => Role::Publisher {
                ingest: Box::new(Ingest::new(publication, &seed.negotiated, seed.session.clone(), seed.wall)),
                sealer: None,
                scratch: Vec::new(),
            },
            Purpose::Watch { stream, cname, share, refused } => {
                Role::Viewer { stream, cname, share, place: None, _refused: refused }
            }
        };
        Self {
            presence: None,
            agent: Agent::new(seed.session.credentials.clone(), identity.crypto(), now),
            session: seed.session,
            negotiated: seed.negotiated,
            dtls,
            opener: None,
            role,
            wall: seed.wall,
            established_by: Some(established_by),
            report_at: None,
            dropped: metrics::counter!("commonroom_webrtc_received_dropped_total", "reason" => "not_authentic"),
        }
    }

    /// Takes a datagram, or a frame of a TCP connection.
    pub(super) fn handle(&mut self, now: Instant, path: Path, datagram: &[u8], hands: &mut Hands<'_>) {
        if is_stun(datagram) {
            self.check(now, path, datagram, hands);
        } else if !self.agent.is_valid(path) {
            self.dropped.increment(1);
        } else if is_dtls(datagram) {
            let progress = self.dtls.handle(now, datagram);
            self.send_dtls(hands.batch);
            match progress {
                Ok(Progress::None) => {}
                Ok(Progress::Connected(connected)) => self.connected(now, path, &connected, hands),
                Ok(Progress::Closed) => hands.events.push(Event::Gone(Leave::Left)),
                Err(error) => hands.events.push(Event::Gone(Leave::Dtls(error))),
            }
        } else {
            self.media(now, datagram, hands.batch);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub(super) fn deadline(&self) -> Instant {
        let media = match &self.role {
            Role::Publisher { ingest, sealer: Some(_), .. } => ingest.deadline(),
            Role::Viewer { place: Some(place), .. } => place.viewer.borrow().deadline(),
            _ => None,
        };
        // Without a path there is nowhere to ask.
        let asked = self.presence.as_ref().filter(|_| self.agent.selected().is_some());
        let asks_at = asked.map(|presence| presence.asks_at(self.agent.heard()));
        let others = [self.established_by, self.report_at, self.dtls.poll_timeout(), media, asks_at];
        others.into_iter().flatten().fold(self.expires(), Instant::min)
    }

    /// When the peer counts as gone, unless it is heard before.
    fn expires(&self) -> Instant {
        let presence = self.presence.as_ref();
        presence.map_or_else(|| self.agent.expires(), |presence| presence.expires(self.agent.heard()))
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant, hands: &mut Hands<'_>) {
        if self.expires() <= now {
            hands.events.push(Event::Gone(Leave::Silent));
            return;
        }
        if self.established_by.is_some_and(|deadline| deadline <= now) {
            hands.events.push(Event::Gone(Leave::NotEstablished));
            return;
        }
        if let (Some(presence), Some(path)) = (&mut self.presence, self.agent.selected())
            && let Some(request) = presence.ask(now, self.agent.heard())
        {
            hands.batch.push(path, &request);
        }
        let result = self.dtls.handle_timeout(now);
        self.send_dtls(hands.batch);
        if let Err(error) = result {
            hands.events.push(Event::Gone(Leave::Dtls(error)));
            return;
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = Some(now + REPORT_INTERVAL);
            if let Role::Viewer { stream, place: Some(place), .. } = &self.role {
                self.session.measure(now);
                let mut viewer = place.viewer.borrow_mut();
                viewer.send_reports(now, hands.batch);
                let is_changed = viewer.tick(now);
                if let Some(layer) = viewer.waits_for_keyframe_of() {
                    stream.request_keyframe_of(layer);
                }
                drop(viewer);
                if is_changed {
                    place.feed.borrow_mut().follow(now);
                }
            }
        }
        if let Role::Viewer { place: Some(place), .. } = &self.role {
            place.viewer.borrow_mut().pad(now, hands.batch);
        }
        self.publish(now, hands.batch);
    }

    /// Puts what came in one burst onto the bus, and sends the feedback that is due.
    pub(super) fn publish(&mut self, now: Instant, batch: &mut Batch) {
        let Role::Publisher { ingest, sealer: Some(sealer), scratch } = &mut self.role else { return };
        ingest.publish(now);
        let Some(path) = self.agent.selected() else { return };
        ingest.feedback(now, |packet| send_rtcp(sealer, scratch, packet, path, batch));
    }

    /// Somebody wants a key picture of these layers of this publisher's.
    pub(super) fn request_keyframe(&mut self, now: Instant, layers: Layers, batch: &mut Batch) {
        if let Role::Publisher { ingest, .. } = &mut self.role {
            ingest.request_keyframe(layers);
            self.publish(now, batch);
        }
    }

    /// The viewer shows its stream otherwise.
    pub(super) fn adapted(&self, now: Instant) {
        if let Role::Viewer { place: Some(place), .. } = &self.role
            && place.viewer.borrow_mut().choose(now)
        {
            place.feed.borrow_mut().follow(now);
        }
    }

    /// Takes the viewer's place in a feed.
    pub(super) fn set_place(&mut self, taken: Place) {
        if let Role::Viewer { place, .. } = &mut self.role {
            *place = Some(taken);
        }
    }

    /// Where keyframe requests for a publisher arrive.
    pub(super) fn keyframe_requests(&self) -> Option<KeyframeRequests> {
        match &self.role {
            Role::Publisher { ingest, .. } => Some(ingest.keyframe_requests()),
            Role::Viewer { .. } => None,
        }
    }

    /// A TCP connection is closed: the path by it is no more.
    pub(super) fn remove_connection(&mut self, connection: ConnectionId) {
        let by = |path: &&Path| path.via == Via::Tcp(connection);
        if let Some(path) = self.agent.paths().iter().find(by).copied() {
            self.agent.remove_path(path);
            self.moved();
        }
    }

    /// The end, as seen from here: says goodbye, ends the publication, gives the place back.
    pub(super) fn end(mut self, now: Instant, leave: &Leave, batch: &mut Batch) -> Ended {
        let place = match &mut self.role {
            Role::Viewer { place, .. } => place.take(),
            Role::Publisher { .. } => None,
        };
        // What has panicked half-way is not asked for last words.
        if !matches!(leave, Leave::Panicked) {
            if let Some(place) = &place
                && !matches!(leave, Leave::Left | Leave::Silent)
            {
                place.viewer.borrow_mut().send_goodbye(batch);
            }
            self.dtls.close(now);
            self.send_dtls(batch);
        }
        self.session.add_to_totals();
        if let Role::Publisher { ingest, .. } = self.role {
            let reason = match leave {
                Leave::Closed | Leave::Left => EndReason::Unpublished,
                Leave::Ended(reason) => *reason,
                _ => EndReason::Vanished,
            };
            ingest.end(now, reason);
        }
        Ended { session: self.session, paths: self.agent.paths().to_vec(), place }
    }

    /// The session.
    pub(super) const fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// What was agreed.
    pub(super) const fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// What it watches.
    pub(super) const fn watched(&self) -> Option<&Stream> {
        match &self.role {
            Role::Viewer { stream, .. } => Some(stream),
            Role::Publisher { .. } => None,
        }
    }

    /// Whether `other` is the feed that the viewer has a place in.
    pub(super) fn is_in(&self, other: &Rc<RefCell<Feed>>) -> bool {
        matches!(&self.role, Role::Viewer { place: Some(place), .. } if Rc::ptr_eq(&place.feed, other))
    }

    fn check(&mut self, now: Instant, path: Path, datagram: &[u8], hands: &mut Hands<'_>) {
        let Ok(check) = Check::parse(datagram) else {
            if self.presence.as_mut().is_some_and(|presence| presence.is_answered_by(datagram)) {
                self.agent.note_traffic(now);
            }
            return;
        };
        match self.agent.handle_check(now, path, path.remote, &check) {
            Verdict::Ignored => {}
            Verdict::Refused(response) => hands.batch.push(path, &response),
            Verdict::Accepted { response, added, evicted, selected } => {
                hands.batch.push(path, &response);
                hands.events.extend(evicted.map(Event::PathRemoved));
                if added {
                    hands.events.push(Event::PathAdded(path));
                }
                if selected {
                    tracing::debug!(session = ?self.session.id, remote = %path.remote, via = path.transport(), "path selected");
                    self.moved();
                }
                // As the DTLS client we begin, and that needs no more than a way to the peer.
                match self.dtls.begin(now) {
                    Ok(()) => self.send_dtls(hands.batch),
                    Err(error) => hands.events.push(Event::Gone(Leave::Dtls(error))),
                }
            }
        }
    }

    fn moved(&self) {
        let Some(path) = self.agent.selected() else { return };
        self.session.moved(path);
        if let Role::Viewer { place: Some(place), .. } = &self.role {
            place.viewer.borrow_mut().set_path(path);
        }
    }

    fn send_dtls(&mut self, batch: &mut Batch) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            if let Some(path) = self.agent.selected() {
                batch.push(path, &datagram);
            }
        }
    }

    fn connected(&mut self, now: Instant, path: Path, connected: &Connected, hands: &mut Hands<'_>) {
        let profile = connected.keys.profile;
        let Some(opener) = Opener::new(&connected.keys) else {
            hands.events.push(Event::Gone(Leave::Dtls(DtlsError::Keys)));
            return;
        };
        self.opener = Some(opener);
        self.established_by = None;
        self.session.connected(connected.cipher_suite.clone(), profile, self.codecs(), now);
        tracing::info!(
            session = ?self.session.id,
            kind = self.session.kind.as_str(),
            room = %self.session.stream.room,
            participant = %self.session.stream.participant,
            remote = %path.remote,
            via = path.transport(),
            srtp = profile.as_str(),
            dtls = connected.cipher_suite.as_deref(),
            ms = now.saturating_duration_since(self.session.created).as_millis(),
            "WebRTC peer connected"
        );
        let new_sealer = Sealer::new(profile, &connected.keys.local);
        let viewer = match &mut self.role {
            Role::Publisher { sealer, ingest, .. } => {
                *sealer = Some(new_sealer);
                ingest.begin();
                let theirs = &self.negotiated.remote.credentials;
                self.presence = Some(Presence::new(self.agent.probe(&theirs.ufrag, &theirs.password)));
                None
            }
            Role::Viewer { stream, cname, share, .. } => {
                self.report_at = Some(now + REPORT_INTERVAL);
                // There is a selected path, as this datagram came by a valid one.
                let path = self.agent.selected().unwrap_or(path);
                let sender = Sender { cname: cname.clone(), wall: self.wall, origin: stream.origin() };
                let (session, share) = (self.session.clone(), share.clone());
                let viewer = Viewer::new(session, &self.negotiated, sender, path, new_sealer, share);
                Some(Box::new(viewer))
            }
        };
        hands.events.push(Event::Connected(viewer));
    }

    /// Sound and picture, as far as the codecs are known: a publisher's are agreed on, a viewer's are the stream's.
    fn codecs(&self) -> [Option<Codec>; 2] {
        [MediaKind::Audio, MediaKind::Video].map(|kind| {
            let codecs = &self.negotiated.section(kind)?.codecs;
            match &self.role {
                Role::Publisher { .. } => codecs.first().map(|codec| codec.codec),
                Role::Viewer { stream, .. } => {
                    let mut sent = packet_codecs(stream.track(kind)?.key).into_iter();
                    sent.find(|sent| codecs.iter().any(|accepted| accepted.codec == *sent))
                }
            }
        })
    }

    /// SRTP and SRTCP share the port: packet types 192 to 223 are RTCP (RFC 5761, section 4).
    fn media(&mut self, now: Instant, datagram: &[u8], batch: &mut Batch) {
        let Some(opener) = &mut self.opener else { return };
        let is_rtcp = matches!(datagram.get(1), Some(192..=223));
        let opened = if is_rtcp { opener.open_rtcp(datagram) } else { opener.open_rtp(datagram) };
        let Ok(plain) = opened else {
            self.dropped.increment(1);
            return;
        };
        self.agent.note_traffic(now);
        if let (Some(presence), false) = (&mut self.presence, is_rtcp) {
            presence.note_media(now);
        }
        self.opened(now, is_rtcp, plain.freeze(), batch);
    }

    /// Takes an RTP or RTCP packet that has proved authentic, without its protection.
    pub(super) fn opened(&mut self, now: Instant, is_rtcp: bool, plain: Bytes, batch: &mut Batch) {
        if is_rtcp {
            self.rtcp(now, &plain, batch);
        } else if let Role::Publisher { ingest, .. } = &mut self.role {
            ingest.rtp(now, plain);
        }
    }

    fn rtcp(&mut self, now: Instant, plain: &[u8], batch: &mut Batch) {
        match &mut self.role {
            Role::Publisher { ingest, .. } => ingest.rtcp(now, plain),
            Role::Viewer { stream, place: Some(place), .. } => {
                let mut viewer = place.viewer.borrow_mut();
                let (mut wants_keyframe, mut is_changed) = (false, false);
                for packet in packets(plain).map_while(Result::ok) {
                    match packet {
                        Packet::ReceiverReport { blocks, .. } | Packet::SenderReport { blocks, .. } => {
                            blocks.for_each(|block| viewer.note_report(now, &block));
                        }
                        Packet::Nack { media, lost } => {
                            self.session.figures.nacks.fetch_add(1, Ordering::Relaxed);
                            viewer.retransmit(now, media, lost, place.feed.borrow().rings(), batch);
                        }
                        Packet::TransportFeedback(feedback) => is_changed |= viewer.feedback(now, &feedback),
                        Packet::Pli { media } => wants_keyframe |= viewer.is_video(media),
                        Packet::Fir(mut entries) => {
                            wants_keyframe |= entries.any(|(media, _)| viewer.is_video(media));
                        }
                        _ => {}
                    }
                }
                if wants_keyframe {
                    self.session.figures.keyframe_requests.fetch_add(1, Ordering::Relaxed);
                    if let Some(layer) = viewer.keyframe_wanted(now) {
                        stream.request_keyframe_of(layer);
                    }
                }
                drop(viewer);
                if is_changed {
                    place.feed.borrow_mut().follow(now);
                }
            }
            Role::Viewer { place: None, .. } => {}
        }
    }
}

/// What is left of a peer for its owner to clear up.
pub(super) struct Ended {
    pub(super) session: Arc<Session>,
    pub(super) paths: Vec<Path>,
    pub(super) place: Option<Place>,
}

impl From<&Purpose> for SessionKind {
    fn from(purpose: &Purpose) -> Self {
        match purpose {
            Purpose::Publish(_) => Self::Publisher,
            Purpose::Watch { .. } => Self::Viewer,
        }
    }
}

impl Purpose {
    /// A viewer's share of the line to its client.
    pub(super) const fn share(&self) -> Option<&Arc<Share>> {
        match self {
            Self::Publish(_) => None,
            Self::Watch { share, .. } => Some(share),
        }
    }
}
