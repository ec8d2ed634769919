//! The metrics recorder, and what every metric means.
//!
//! Layers count through the `metrics` macros; names end in `_total`, `_seconds` or `_bytes`, labels take their values from
//! closed sets. [`handle`] must have been called before the first counter is looked up: what is looked up without a
//! recorder counts nowhere.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use std::sync::OnceLock;

/// Bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// The process's recorder, installed at the first call.
pub fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
            .expect("the list of buckets is not empty")
            .install_recorder()
            .expect("nothing else in this process installs a recorder");
        describe();
        gauge!("commonroom_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        handle
    })
}

/// All metrics as they stand, those of the process among them, in the text format of Prometheus.
pub fn render() -> String {
    static PROCESS: OnceLock<Collector> = OnceLock::new();
    let handle = handle();
    PROCESS
        .get_or_init(|| {
            let collector = Collector::default();
            collector.describe();
            collector
        })
        .collect();
    handle.render()
}

fn describe() {
    for (name, unit, text) in COUNTERS {
        describe_counter!(*name, *unit, *text);
    }
    for (name, unit, text) in GAUGES {
        describe_gauge!(*name, *unit, *text);
    }
    for (name, unit, text) in HISTOGRAMS {
        describe_histogram!(*name, *unit, *text);
    }
}

type Description = (&'static str, Unit, &'static str);

const GAUGES: &[Description] = &[
    ("commonroom_build_info", Unit::Count, "1; the label tells the version."),
    ("commonroom_rooms", Unit::Count, "Rooms with at least one participant."),
    ("commonroom_participants", Unit::Count, "Participants of all rooms, by protocol."),
    ("commonroom_publishers", Unit::Count, "Streams being published, by protocol."),
    ("commonroom_renditions", Unit::Count, "Conversions that run now, by reason."),
    ("commonroom_http_connections", Unit::Count, "HTTP connections now."),
    ("commonroom_room_sessions", Unit::Count, "Sessions of the room API now, by protocol."),
    (
        "commonroom_tls_certificate_expiry_timestamp_seconds",
        Unit::Seconds,
        "When the TLS certificate that is served expires, in seconds since 1970.",
    ),
    ("commonroom_recordings", Unit::Count, "Files that are being recorded now."),
    (
        "commonroom_recording_waiting_bytes",
        Unit::Bytes,
        "What waits to be written to the disk for recordings.",
    ),
    ("commonroom_hooks_waiting", Unit::Count, "Events that wait to be posted to hooks.url."),
    ("commonroom_recording_free_bytes", Unit::Bytes, "What is free on the disk for recordings."),
    ("commonroom_recording_upload_waiting_sessions", Unit::Count, "Sessions that wait for their upload."),
    (
        "commonroom_recording_upload_held_bytes",
        Unit::Bytes,
        "What sessions take that would be deleted by age or size, and are not uploaded yet.",
    ),
    ("commonroom_rtmp_connections", Unit::Count, "RTMP connections now."),
    ("commonroom_rtmp_players", Unit::Count, "Streams being played over RTMP now."),
    (
        "commonroom_webrtc_sessions",
        Unit::Count,
        "WebRTC sessions that have an answer and have not ended, by kind.",
    ),
];

const HISTOGRAMS: &[Description] = &[
    ("commonroom_http_request_seconds", Unit::Seconds, "Time from a request to its answer, by route."),
    (
        "commonroom_webrtc_connect_seconds",
        Unit::Seconds,
        "Time from the answer to a WebRTC peer's offer to its media keys, by kind of session.",
    ),
];

const COUNTERS: &[Description] = &[
    (
        "commonroom_http_requests_total",
        Unit::Count,
        "Requests answered, by route, method and class of status.",
    ),
    (
        "commonroom_http_gave_way_total",
        Unit::Count,
        "HTTP connections that were closed because others needed their place.",
    ),
    ("commonroom_snapshots_total", Unit::Count, "Pictures of streams that were asked for, by result."),
    ("commonroom_tls_handshakes_total", Unit::Count, "TLS handshakes, by port and result."),
    ("commonroom_tls_orders_total", Unit::Count, "Certificates ordered from an ACME authority, by result."),
    ("commonroom_tls_reloads_total", Unit::Count, "Changes of the certificate's files, by result."),
    (
        "commonroom_recordings_total",
        Unit::Count,
        "Recordings that have come to an end, by outcome: finished, failed, recovered, lost.",
    ),
    ("commonroom_recording_bytes_total", Unit::Bytes, "What was written to the disk for recordings."),
    (
        "commonroom_hooks_events_total",
        Unit::Count,
        "Events for hooks.url, by outcome: delivered, retried, failed, and dropped where too many waited.",
    ),
    (
        "commonroom_recording_deleted_sessions_total",
        Unit::Count,
        "Recorded sessions that were deleted, by reason: age, size, uploaded.",
    ),
    (
        "commonroom_recording_upload_sessions_total",
        Unit::Count,
        "Attempts to upload a session, by outcome: uploaded, failed.",
    ),
    (
        "commonroom_recording_upload_bytes_total",
        Unit::Bytes,
        "What was uploaded of recordings, whether it was of use or had to be sent again.",
    ),
    (
        "commonroom_recording_left_out_frames_total",
        Unit::Count,
        "Frames that recordings have no place for: before a key picture, or where there is something already.",
    ),
    (
        "commonroom_recording_slow_disk_total",
        Unit::Count,
        "Times at which a recording left media out because the disk was too slow.",
    ),
    (
        "commonroom_stream_warnings_total",
        Unit::Count,
        "Streams of which somebody got less than was sent, by reason; each reason once a stream.",
    ),
    (
        "commonroom_bridge_refusals_total",
        Unit::Count,
        "Tracks that a subscriber could not be given, by reason.",
    ),
    (
        "commonroom_bridge_audio_corrections_total",
        Unit::Count,
        "Gaps and overlaps of sound that were mended, by kind.",
    ),
    (
        "commonroom_bridge_audio_errors_total",
        Unit::Count,
        "Audio packets that could not be decoded or encoded.",
    ),
    (
        "commonroom_transcode_errors_total",
        Unit::Count,
        "Pictures that a transcoder could not decode or encode, by stage.",
    ),
    (
        "commonroom_transcode_pictures_total",
        Unit::Count,
        "Pictures that transcoders took, by result: made, shed (it was late), past (before anybody came).",
    ),
    ("commonroom_bridge_codec_panics_total", Unit::Count, "Panics of a codec library that were caught."),
    ("commonroom_webrtc_received_datagrams_total", Unit::Count, "UDP datagrams received on the media port."),
    (
        "commonroom_webrtc_received_dropped_total",
        Unit::Count,
        "Received datagrams that went nowhere, by reason.",
    ),
    (
        "commonroom_webrtc_forwarded_datagrams_total",
        Unit::Count,
        "Datagrams handed to the shard that has their peer.",
    ),
    ("commonroom_webrtc_sent_datagrams_total", Unit::Count, "Datagrams sent to WebRTC peers."),
    ("commonroom_webrtc_send_calls_total", Unit::Count, "System calls that sent them."),
    ("commonroom_webrtc_send_dropped_total", Unit::Count, "Datagrams that could not be sent, by reason."),
    (
        "commonroom_webrtc_sessions_started_total",
        Unit::Count,
        "WebRTC offers that got an answer, by kind of session.",
    ),
    (
        "commonroom_webrtc_media_bytes_total",
        Unit::Bytes,
        "RTP payload received from publishers and sent to viewers, by kind of session.",
    ),
    (
        "commonroom_webrtc_media_packets_total",
        Unit::Count,
        "RTP packets received from publishers and sent to viewers, by kind of session.",
    ),
    (
        "commonroom_webrtc_lost_packets_total",
        Unit::Count,
        "RTP packets that did not arrive: from publishers, and at viewers by their reports; by kind of session.",
    ),
    (
        "commonroom_webrtc_retransmitted_packets_total",
        Unit::Count,
        "RTP packets that publishers sent again, or that viewers were sent again; by kind of session.",
    ),
    (
        "commonroom_webrtc_nacks_total",
        Unit::Count,
        "Requests for lost packets, sent to publishers and got from viewers; by kind of session.",
    ),
    (
        "commonroom_webrtc_keyframe_requests_total",
        Unit::Count,
        "Requests for keyframes (PLI, FIR), sent to publishers and got from viewers; by kind of session.",
    ),
    (
        "commonroom_webrtc_sessions_ended_total",
        Unit::Count,
        "WebRTC sessions that have ended, by kind and reason.",
    ),
    (
        "commonroom_webrtc_library_panics_total",
        Unit::Count,
        "Panics of a library that ended one peer, by kind.",
    ),
    ("commonroom_webrtc_tcp_refused_total", Unit::Count, "ICE-TCP connections that were turned away."),
    (
        "commonroom_room_messages_total",
        Unit::Count,
        "Messages of clients of the room API, by name; what cannot be read is unreadable or malformed.",
    ),
    ("commonroom_room_refusals_total", Unit::Count, "Commands to rooms that were refused, by reason."),
    (
        "commonroom_room_sessions_closed_total",
        Unit::Count,
        "Sessions of the room API that this server has closed, by reason.",
    ),
    ("commonroom_rtmp_connections_total", Unit::Count, "RTMP connections accepted."),
    ("commonroom_rtmp_received_bytes_total", Unit::Bytes, "Bytes read from RTMP clients."),
    ("commonroom_rtmp_sent_bytes_total", Unit::Bytes, "Bytes written to RTMP clients."),
    ("commonroom_rtmp_lost_frames_total", Unit::Count, "Frames that slow RTMP players lost."),
    (
        "commonroom_webrtc_picture_changes_total",
        Unit::Count,
        "Changes of the picture that a WebRTC viewer gets, by what limits it from then on.",
    ),
    (
        "commonroom_webrtc_padding_bytes_total",
        Unit::Bytes,
        "Padding sent to WebRTC viewers to find out whether their lines carry more.",
    ),
    (
        "commonroom_timestamp_repairs_total",
        Unit::Count,
        "What was mended of publishers' times, by kind: jumps, wraps, stalls, times that do not grow.",
    ),
    (
        "commonroom_rtmp_bad_data_total",
        Unit::Count,
        "Data messages of RTMP publishers that cannot be read, or say too much to be kept whole.",
    ),
    ("commonroom_rtmp_rejected_total", Unit::Count, "RTMP clients turned away, by reason."),
    ("commonroom_rtmp_errors_total", Unit::Count, "RTMP connections that ended in an error, by kind."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// Names of metrics in the sources below `folder`, this file left out.
    fn used(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                used(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("metrics.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let quoted = text.split("\"commonroom_").skip(1);
                names.extend(
                    quoted.filter_map(|rest| Some(format!("commonroom_{}", rest.split_once('"')?.0))),
                );
            }
        }
    }

    #[test]
    fn every_metric_is_described_and_exists() {
        let mut names = BTreeSet::from(["commonroom_build_info".to_owned()]);
        used(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
        let tables = COUNTERS.iter().chain(GAUGES).chain(HISTOGRAMS);
        let described: BTreeSet<_> = tables.map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(names, described);
    }

    #[test]
    fn what_is_counted_is_shown() {
        let handle = handle();
        metrics::counter!("commonroom_rtmp_connections_total").increment(2);
        let text = handle.render();
        assert!(
            text.contains("# HELP commonroom_rtmp_connections_total RTMP connections accepted.\n"),
            "{text}"
        );
        assert!(text.contains("commonroom_build_info{version="), "{text}");
    }
}
