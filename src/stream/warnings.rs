//! What a publisher should know of its stream: a closed set of warnings, each with its words.
//!
//! Whoever finds that somebody gets less than is sent raises a warning on the [`Stream`]: what reads the publisher's
//! messages, the bridge, or a viewer's signalling. Here it is logged and counted, once in the life of the stream; the API
//! shows those that hold now, and the publisher's connection tells each once.

use super::bus::{Shared, Stream};
use crate::media::Codec;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// Why somebody gets less of a stream than its publisher sends, or could.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Warning {
    /// A viewer takes the picture in another codec.
    Transcoded {
        /// What is published.
        from: Codec,
        /// What is made of it.
        to: Codec,
    },
    /// A viewer takes the picture in another codec, and no transcoder is free.
    TranscodersBusy,
    /// Browsers show pictures in the order in which they come, so a stream with B-frames is decoded and encoded without.
    BFramesTranscoded,
    /// Browsers decode 4:2:0 with 8 bits, and show what is interlaced as it is, so others are decoded and encoded.
    ProfileTranscoded,
    /// As with B-frames, but nothing transcodes it, so the pictures that are out of order are left out.
    BFrames,
    /// The same, but other pictures need them, so that little more than the keyframes is left.
    BFrameReferences,
    /// A viewer does not get a track: there is no converter to what it takes.
    NoConverter {
        /// What is published.
        from: Codec,
    },
    /// The same, for want of FFmpeg's libraries in this program.
    NotBuilt {
        /// What is published.
        from: Codec,
    },
    /// A viewer takes H.264 in packetization-mode 0 alone, and the publisher's NAL units may be larger than a packet.
    PacketizationMode,
    /// The sound is in a codec that nobody here knows.
    AudioCodec,
    /// The configuration of the sound cannot be read.
    AudioConfig,
    /// Part of the sound cannot be read.
    AudioUnreadable,
    /// The configuration of the picture cannot be read.
    VideoConfig,
    /// Part of the picture cannot be read.
    VideoUnreadable,
    /// Of several tracks of one kind only the first is carried.
    OtherTracks,
    /// A data message, such as metadata, cannot be read.
    DataUnreadable,
    /// The metadata says more than is kept.
    MetadataTooLarge,
}

/// A warning that holds until this is dropped.
#[must_use = "dropping it takes the warning back"]
pub struct WarningMark {
    shared: Arc<Shared>,
    warning: Warning,
}

/// The warnings of a stream in the order in which they were first raised, each once.
pub struct Warnings {
    board: watch::Receiver<Board>,
    told: usize,
}

/// The warnings of one stream.
#[derive(Default)]
pub(super) struct Board {
    /// Each once; no more than there are.
    ever: Vec<Warning>,
    /// Those that hold, one for each mark.
    now: Vec<Warning>,
}

impl Stream {
    /// Raises a warning, which holds as long as the mark is kept.
    pub fn warn(&self, warning: Warning) -> WarningMark {
        let mark = WarningMark { shared: self.shared().clone(), warning };
        if mark.shared.warnings.send_if_modified(|board| board.raise(warning)) {
            tracing::warn!(stream = %self.name(), reason = warning.as_str(), "{warning}");
            metrics::counter!("commonroom_stream_warnings_total", "reason" => warning.as_str()).increment(1);
        }
        mark
    }

    /// The warnings that hold now, each once.
    pub fn warnings(&self) -> Vec<Warning> {
        let board = self.shared().warnings.borrow();
        board.ever.iter().copied().filter(|warning| board.now.contains(warning)).collect()
    }

    /// All warnings from the first on, for whoever tells the publisher.
    pub fn all_warnings(&self) -> Warnings {
        Warnings { board: self.shared().warnings.subscribe(), told: 0 }
    }
}

impl Warnings {
    /// The next one. Cancel-safe; waits for ever when the stream is gone.
    pub async fn next(&mut self) -> Warning {
        let told = self.told;
        if let Ok(board) = self.board.wait_for(|board| board.ever.len() > told).await
            && let Some(warning) = board.ever.get(told)
        {
            self.told += 1;
            return *warning;
        }
        std::future::pending().await
    }
}

impl Board {
    /// Says whether it is the first of its kind.
    fn raise(&mut self, warning: Warning) -> bool {
        self.now.push(warning);
        let is_first = !self.ever.contains(&warning);
        if is_first {
            self.ever.push(warning);
        }
        is_first
    }

    fn lower(&mut self, warning: Warning) {
        if let Some(at) = self.now.iter().position(|held| *held == warning) {
            self.now.swap_remove(at);
        }
    }
}

impl Drop for WarningMark {
    fn drop(&mut self) {
        self.shared.warnings.send_if_modified(|board| {
            board.lower(self.warning);
            false
        });
    }
}

impl Warning {
    /// A word for logs, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transcoded { .. } => "transcoded",
            Self::TranscodersBusy => "transcoders_busy",
            Self::BFramesTranscoded => "b_frames_transcoded",
            Self::ProfileTranscoded => "profile_transcoded",
            Self::BFrames => "b_frames",
            Self::BFrameReferences => "b_frame_references",
            Self::NoConverter { .. } => "no_converter",
            Self::NotBuilt { .. } => "not_built",
            Self::PacketizationMode => "packetization_mode",
            Self::AudioCodec => "audio_codec",
            Self::AudioConfig => "audio_config",
            Self::AudioUnreadable => "audio_unreadable",
            Self::VideoConfig => "video_config",
            Self::VideoUnreadable => "video_unreadable",
            Self::OtherTracks => "other_tracks",
            Self::DataUnreadable => "data_unreadable",
            Self::MetadataTooLarge => "metadata_too_large",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transcoded { from, to } => {
                return write!(
                    f,
                    "a viewer does not take {from}, so the picture is transcoded to {to}; an encoder that sends {to} saves \
                     the server that work"
                );
            }
            Self::TranscodersBusy => {
                "a viewer does not take this codec and gets no picture: all transcoders are in use \
                 (bridge.max_video_transcodes); H.264 needs none"
            }
            Self::BFramesTranscoded => {
                "browsers cannot show B-frames, so the picture is transcoded for them; to save the server that work turn \
                 them off in the encoder (OBS: Advanced output, x264 options `bframes=0`; ffmpeg: `-bf 0`)"
            }
            Self::ProfileTranscoded => {
                "browsers decode H.264 in 4:2:0 with 8 bits and not interlaced, so the picture is transcoded for them; an encoder \
                 that sends it so saves the server that work"
            }
            Self::BFrames => {
                "browsers cannot show B-frames, and this stream is not transcoded for them (the operator says how many are, \
                 bridge.max_video_transcodes), so they are dropped and the frame rate is lower; turn them off in the encoder (OBS: Advanced output, x264 options \
                 `bframes=0`; ffmpeg: `-bf 0`)"
            }
            Self::BFrameReferences => {
                "browsers cannot show B-frames, this stream is not transcoded for them (the operator says how many are, \
                 bridge.max_video_transcodes), and other pictures refer to them, so browsers see little more than the keyframes; turn B-frames off in the encoder (OBS: Advanced output, x264 options \
                 `bframes=0`; ffmpeg: `-bf 0`)"
            }
            Self::NoConverter { from } => {
                return write!(f, "{from} {} cannot be converted to what a viewer takes", from.kind());
            }
            Self::NotBuilt { from } => {
                return write!(
                    f,
                    "{from} {} is not converted to what a viewer takes: this server was built without FFmpeg's libraries",
                    from.kind()
                );
            }
            Self::PacketizationMode => {
                "a viewer takes H.264 in packetization-mode 0 alone, which has no fragments, so it gets no picture; its \
                 client must offer packetization-mode 1"
            }
            Self::AudioCodec => "the sound is not carried: its codec is not supported, choose AAC",
            Self::AudioConfig => "the sound is not carried: its configuration cannot be used",
            Self::AudioUnreadable => "sound that cannot be read is left out",
            Self::VideoConfig => "a configuration of the picture that cannot be used is passed over",
            Self::VideoUnreadable => "video that cannot be read is left out",
            Self::OtherTracks => "of several tracks of one kind only the first is carried",
            Self::DataUnreadable => "metadata and other data that cannot be read are left out",
            Self::MetadataTooLarge => "of the metadata only 64 KB are passed on",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamName;
    use crate::time::NtpTime;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn each_is_told_once_and_shown_while_it_holds() {
        let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "s".into() };
        let (stream, _publisher) = Stream::publish(name, NtpTime::default());
        let mut told = stream.all_warnings();
        let first = stream.warn(Warning::BFrames);
        let (again, other) = (stream.warn(Warning::BFrames), stream.warn(Warning::PacketizationMode));
        assert_eq!(told.next().await, Warning::BFrames);
        assert_eq!(told.next().await, Warning::PacketizationMode);
        assert_eq!(stream.warnings(), [Warning::BFrames, Warning::PacketizationMode]);
        drop((first, other));
        assert_eq!(stream.warnings(), [Warning::BFrames], "one mark is left");
        drop(again);
        assert_eq!(stream.warnings(), []);
        let _back = stream.warn(Warning::BFrames);
        assert_eq!(stream.warnings(), [Warning::BFrames]);
        let more = tokio::time::timeout(Duration::from_secs(1), told.next()).await;
        assert!(more.is_err(), "{more:?}");
        assert_eq!(stream.all_warnings().next().await, Warning::BFrames, "who comes late hears all");
    }
}
