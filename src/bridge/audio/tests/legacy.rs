//! Sound beside AAC and Opus, as FFmpeg's encoders make it.

use super::{Heard, START, Source, aac, burst, frames, listen, opus, tone, transcode};
use crate::bridge::audio::Transcoder;
use crate::bridge::converter::Output;
use crate::codec::g711::Law;
use crate::codec::sound::SoundConfig;
use crate::media::{Codec, CodecParams, Frame};
use crate::time::{ClockRate, MediaDuration, Timestamp};
use bytes::Bytes;

/// A track with RTMP's stamps.
fn source(config: SoundConfig, packets: impl IntoIterator<Item = (i64, Bytes)>) -> Source {
    let rate = config.rate;
    let frame = |(at, packet)| {
        let time = START + MediaDuration::from_ticks(at, rate);
        Frame::audio(Timestamp::from_millis(time.to_ticks(ClockRate::MILLISECONDS)), packet)
    };
    Source { params: CodecParams::Sound(config), frames: packets.into_iter().map(frame).collect() }
}

fn config(codec: Codec, rate: u32, channels: u8) -> SoundConfig {
    SoundConfig::new(codec, ClockRate::new(rate).unwrap(), channels)
}

/// Linear samples of 20 ms a packet, coded one by one.
fn plain(config: SoundConfig, signal: &[f32], code: impl Fn(i16) -> Vec<u8>) -> Source {
    let block = config.rate.get() as usize / 50;
    let packets: Vec<(i64, Bytes)> = signal
        .chunks_exact(block)
        .enumerate()
        .map(|(index, chunk)| {
            let coded = chunk.iter().flat_map(|sample| {
                let coded = code((sample * 32_767.0) as i16);
                std::iter::repeat_n(coded, config.channels.into()).flatten()
            });
            ((index * block) as i64, coded.collect())
        })
        .collect();
    source(config, packets)
}

/// Both targets hear a 1 kHz tone this clean at least, at the level at which it was sent.
fn assert_tone(source: &Source, decibels: f64) {
    let CodecParams::Sound(config) = &source.params else { panic!() };
    for transcoder in [Transcoder::to_opus(), Transcoder::rtmp_to_aac()] {
        let heard: Heard = listen(&transcode(transcoder, source, |_| false));
        assert_eq!(heard.channels, usize::from(config.channels.min(2)), "{config:?}");
        let (snr, level) = (heard.snr(0.5, 2.3, heard.channels - 1), 20.0 * heard.rms(0.5, 2.3).log10());
        assert!(snr >= decibels, "{config:?}: {snr:.1} dB");
        // A sine of amplitude 0.5.
        assert!((level + 9.03).abs() < 1.0, "{config:?}: {level:.1} dBFS");
    }
}

#[test]
fn g711_and_linear_pcm() {
    for (codec, law) in [(Codec::Pcmu, Law::Mu), (Codec::Pcma, Law::A)] {
        for channels in [1, 2] {
            let config = config(codec, 8_000, channels);
            assert_tone(&plain(config, &tone(8_000, 3.0), |sample| vec![law.encode(sample)]), 30.0);
        }
    }
    for (rate, channels) in [(44_100, 2), (22_050, 1), (11_025, 1), (5_512, 1)] {
        let pcm = config(Codec::Pcm, rate, channels);
        assert_tone(&plain(pcm.clone(), &tone(rate, 3.0), |sample| sample.to_le_bytes().to_vec()), 30.0);
        let eight = SoundConfig { bits: 8, ..pcm };
        assert_tone(&plain(eight, &tone(rate, 3.0), |sample| vec![((sample >> 8) + 128) as u8]), 30.0);
    }
}

#[test]
fn g711_stays_at_its_time() {
    let code = |sample| vec![Law::A.encode(sample)];
    let source = plain(config(Codec::Pcma, 8_000, 1), &burst(8_000, 2.0, 1.25), code);
    for transcoder in [Transcoder::to_opus(), Transcoder::rtmp_to_aac()] {
        let heard = listen(&transcode(transcoder, &source, |_| false));
        assert!((heard.peak() - 1.25).abs() < 0.001, "{}", heard.peak());
    }
}

#[test]
fn a_telephone_hears_what_is_sent_in_opus_and_aac() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let signal = tone(48_000, 3.0);
        let sources = [
            (Transcoder::opus_to_g711(codec), opus(2, &signal)),
            (Transcoder::rtmp_to_g711(codec), aac(48_000, 2, &signal)),
        ];
        for (transcoder, source) in sources {
            let out = transcode(transcoder, &source, |_| false);
            assert!(matches!(&out[0], Output::Params(params) if params.codec() == codec));
            assert!(frames(&out).iter().all(|frame| frame.payload.len() == 160));
            let heard = listen(&out);
            assert_eq!((heard.channels, heard.rate), (1, ClockRate::TELEPHONE));
            let (snr, level) = (heard.snr(0.5, 2.3, 0), 20.0 * heard.rms(0.5, 2.3).log10());
            assert!(snr > 30.0 && (level + 9.03).abs() < 0.5, "{snr:.1} dB, {level:.1} dBFS");
        }
        let burst = opus(1, &burst(48_000, 2.0, 1.25));
        let heard = listen(&transcode(Transcoder::opus_to_g711(codec), &burst, |_| false));
        assert!((heard.peak() - 1.25).abs() < 0.001, "{}", heard.peak());
    }
}

#[cfg(feature = "transcode")]
mod library {
    use super::*;
    use crate::bridge::audio::decoder;
    use crate::codec::aac::AudioSpecificConfig;
    use ffmpeg_next as ffmpeg;
    use ffmpeg_next::codec::encoder;
    use ffmpeg_next::format::Sample;
    use ffmpeg_next::{ChannelLayout, Dictionary, Packet};

    /// What an encoder makes of a mono signal, on every channel.
    fn encode(name: &str, codec: Codec, rate: u32, channels: u8, signal: &[f32]) -> Source {
        encode_layers(name, config(codec, rate, channels), signal, |sample, _| sample)
    }

    /// The same, with each channel's own share of the signal.
    fn encode_layers(
        name: &str,
        config: SoundConfig,
        signal: &[f32],
        share: impl Fn(f32, usize) -> f32,
    ) -> Source {
        let found =
            encoder::find_by_name(name).unwrap_or_else(|| panic!("this FFmpeg has no encoder {name}"));
        let channels = usize::from(config.channels);
        let layout = match channels {
            // The one that AAC has a number for.
            6 if name == "aac" => ChannelLayout::_5POINT1_BACK,
            6 => ChannelLayout::_5POINT1,
            channels => ChannelLayout::default(channels as i32),
        };
        let is_simple = |format: &Sample| matches!(format, Sample::F32(_) | Sample::I16(_));
        let format = found.audio().unwrap().formats().unwrap().find(is_simple).unwrap();
        let mut encoder = ffmpeg::codec::Context::new_with_codec(found).encoder().audio().unwrap();
        encoder.set_rate(config.rate.get() as i32);
        encoder.set_channel_layout(layout);
        encoder.set_format(format);
        encoder.set_bit_rate(if config.rate.get() < 20_000 { 28_000 } else { 192_000 });
        encoder.set_time_base((1, config.rate.get() as i32));
        let mut encoder = encoder.open_as_with(found, Dictionary::new()).unwrap();
        let block = match encoder.frame_size() as usize {
            0 => 1_024,
            size => size,
        };
        let (mut packets, mut packet) = (Vec::new(), Packet::empty());
        for (index, chunk) in signal.chunks_exact(block).enumerate() {
            let mut frame = ffmpeg::frame::Audio::new(format, block, layout);
            frame.set_rate(config.rate.get());
            frame.set_pts(Some((index * block) as i64));
            fill(&mut frame, chunk, channels, &share);
            encoder.send_frame(&frame).unwrap();
            while encoder.receive_packet(&mut packet).is_ok() {
                packets.push((packet.pts().unwrap(), Bytes::copy_from_slice(packet.data().unwrap())));
            }
        }
        source(config, packets)
    }

    fn fill(
        frame: &mut ffmpeg::frame::Audio,
        signal: &[f32],
        channels: usize,
        share: &dyn Fn(f32, usize) -> f32,
    ) {
        let format = frame.format();
        let (size, planar) = (format.bytes(), format.is_planar());
        for channel in 0..channels {
            for (index, sample) in signal.iter().enumerate() {
                let sample = share(*sample, channel);
                let (plane, at) = if planar { (channel, index) } else { (0, index * channels + channel) };
                let bytes = match size {
                    2 => ((sample * 32_767.0) as i16).to_ne_bytes().to_vec(),
                    _ => sample.to_ne_bytes().to_vec(),
                };
                frame.data_mut(plane)[at * size..(at + 1) * size].copy_from_slice(&bytes);
            }
        }
    }

    #[test]
    fn speex_and_nellymoser() {
        assert_tone(&encode("libspeex", Codec::Speex, 16_000, 1, &tone(16_000, 3.0)), 15.0);
        // FFmpeg's encoder loses most of 1 kHz at 8 and at 16 kHz, where it has whole periods in each block.
        for rate in [11_025, 22_050, 44_100] {
            assert_tone(&encode("nellymoser", Codec::Nellymoser, rate, 1, &tone(rate, 3.0)), 15.0);
        }
    }

    #[test]
    fn mp3_and_adpcm() {
        for (rate, channels) in [(44_100, 2), (48_000, 2), (22_050, 1), (8_000, 1)] {
            assert_tone(&encode("libmp3lame", Codec::Mp3, rate, channels, &tone(rate, 3.0)), 30.0);
        }
        for (rate, channels) in [(44_100, 2), (22_050, 1), (11_025, 1)] {
            assert_tone(&encode("adpcm_swf", Codec::Adpcm, rate, channels, &tone(rate, 3.0)), 20.0);
        }
    }

    #[test]
    fn sounds_stay_at_their_time() {
        for (name, codec, rate) in [
            ("libspeex", Codec::Speex, 16_000),
            ("nellymoser", Codec::Nellymoser, 8_000),
            ("nellymoser", Codec::Nellymoser, 16_000),
            ("libmp3lame", Codec::Mp3, 44_100),
            ("ac3", Codec::Ac3, 48_000),
        ] {
            let source = encode(name, codec, rate, 1, &burst(rate, 2.0, 1.25));
            let heard = listen(&transcode(Transcoder::rtmp_to_aac(), &source, |_| false));
            let late = heard.peak() - 1.25;
            assert!(late.abs() < 0.010, "{name} at {rate} Hz: {late} s");
        }
    }

    #[test]
    fn five_channels_and_one_become_two() {
        // The left one in front, the right one behind, both together are as loud as the loudest may be.
        let config = config(Codec::Ac3, 48_000, 6);
        let source = encode_layers("ac3", config, &tone(48_000, 3.0), |sample, channel| match channel {
            0 | 5 => sample * 1.9,
            _ => 0.0,
        });
        let heard = listen(&transcode(Transcoder::to_opus(), &source, |_| false));
        assert_eq!(heard.channels, 2);
        assert!(heard.snr(0.5, 2.3, 0) > 30.0 && heard.snr(0.5, 2.3, 1) > 30.0);
        let rms = |channel| heard.between(0.5, 2.3, channel).iter().map(|x| x * x).sum::<f32>();
        let decibels = 10.0 * (rms(1) / rms(0)).log10();
        assert!((decibels + 3.0).abs() < 0.1, "{decibels}");
    }

    /// AAC of 5.1 as FFmpeg makes it, each channel with its share of a tone of half the scale.
    fn surround(share: impl Fn(usize) -> f32) -> Heard {
        let layers = config(Codec::Aac, 48_000, 6);
        let made =
            encode_layers("aac", layers, &tone(48_000, 3.0), |sample, channel| sample * share(channel));
        let record = AudioSpecificConfig::parse(Bytes::from_static(&[0x11, 0xb0])).unwrap();
        let mut decoder = decoder(&CodecParams::Aac(record)).unwrap();
        let mut heard = Heard { start: START, rate: ClockRate::OPUS, channels: 0, pcm: Vec::new() };
        for frame in &made.frames {
            heard.channels = decoder.decode(frame.payload.bytes(), &mut heard.pcm).unwrap().channels;
        }
        assert_eq!(heard.channels, 2);
        heard
    }

    #[test]
    fn surround_sound_in_aac_is_mixed_down() {
        let level = |heard: &Heard, channel| {
            let pcm = heard.between(0.5, 2.3, channel);
            10.0 * (pcm.iter().map(|x| x * x).sum::<f32>() / pcm.len() as f32).log10()
        };
        let front = surround(|channel| if channel == 0 { 1.0 } else { 0.0 });
        let centre = surround(|channel| if channel == 2 { 1.0 } else { 0.0 });
        let behind = surround(|channel| if channel == 5 { 1.0 } else { 0.0 });
        let levels = [
            level(&front, 0),
            level(&front, 1),
            level(&centre, 0),
            level(&centre, 1),
            level(&behind, 0),
            level(&behind, 1),
        ];
        assert!(levels[1] < -60.0 && levels[4] < -60.0, "on one side alone: {levels:?}");
        assert!(
            (levels[0] - levels[2] - 3.0).abs() < 0.3 && (levels[2] - levels[3]).abs() < 0.1,
            "{levels:?}"
        );
        assert!((levels[0] - levels[5] - 3.0).abs() < 0.3, "{levels:?}");
        for heard in [front, centre] {
            let snr = heard.snr(0.5, 2.3, 0);
            assert!(snr > 60.0, "{snr:.1} dB");
        }
    }

    #[test]
    fn the_loudest_surround_sound_does_not_clip() {
        // All of them at full scale and in step, which adds up to more than twice of it: the limiter's work.
        let heard = surround(|channel| if channel == 3 { 0.0 } else { 1.9 });
        let pcm = heard.between(0.5, 2.3, 0);
        let clipped = pcm.iter().filter(|x| x.abs() > 0.999).count() as f64 / pcm.len() as f64;
        // Cut off, seven tenths of it would be.
        assert!(clipped < 0.02, "{clipped}");
        let snr = heard.snr(0.5, 2.3, 0);
        assert!(snr > 15.0, "{snr:.1} dB");
    }

    #[test]
    fn rubbish_costs_itself() {
        for codec in SoundConfig::CODECS {
            let mut decoder = decoder(&CodecParams::Sound(config(codec, 16_000, 1))).unwrap();
            let mut state = 1_u32;
            for len in [0, 1, 2, 3, 7, 64, 417, 4_000, 70_000] {
                let noise: Vec<u8> = (0..len)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 24) as u8
                    })
                    .collect();
                let mut pcm = Vec::new();
                let _may_fail = decoder.decode(&noise, &mut pcm);
                assert!(pcm.len() <= 2 * 64 * 65_536, "{codec}: {} samples of {len} bytes", pcm.len());
            }
        }
    }

    #[test]
    fn the_codecs_of_enhanced_rtmp() {
        for (name, codec) in [("ac3", Codec::Ac3), ("eac3", Codec::Eac3), ("flac", Codec::Flac)] {
            assert_tone(&encode(name, codec, 48_000, 2, &tone(48_000, 3.0)), 30.0);
        }
    }
}
