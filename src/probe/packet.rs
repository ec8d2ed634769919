//! One line of `ffprobe -show_packets -of compact`.

/// A packet of a file, times in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) stream: usize,
    pub(crate) pts: Option<f64>,
    pub(crate) dts: Option<f64>,
    pub(crate) duration: Option<f64>,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) is_key: bool,
    /// Decoded and not shown, such as what an edit list cuts off.
    pub(crate) is_discarded: bool,
}

/// What of packets is asked for.
pub(crate) const ENTRIES: &str = "packet=stream_index,pts_time,dts_time,duration_time,size,flags";

impl Packet {
    /// `None` where it is no packet.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut packet = Self::default();
        let mut has_stream = false;
        for (key, value) in line.split('|').filter_map(|field| field.split_once('=')) {
            let seconds = || value.parse().ok().filter(|seconds: &f64| seconds.is_finite());
            match key {
                "stream_index" => {
                    packet.stream = value.parse().ok()?;
                    has_stream = true;
                }
                "pts_time" => packet.pts = seconds(),
                "dts_time" => packet.dts = seconds(),
                "duration_time" => packet.duration = seconds().filter(|seconds| *seconds > 0.0),
                "size" => packet.size = value.parse().unwrap_or_default(),
                "flags" => {
                    packet.is_key = value.contains('K');
                    packet.is_discarded = value.contains('D');
                }
                _ => {}
            }
        }
        has_stream.then_some(packet)
    }

    /// When it is shown; containers without composition times say only when it is decoded.
    pub(crate) fn time(&self) -> Option<f64> {
        self.pts.or(self.dts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_a_line() {
        let line =
            "stream_index=1|pts_time=0.066667|dts_time=-0.033333|duration_time=0.033333|size=1302|flags=K_";
        let expected = Packet {
            stream: 1,
            pts: Some(0.066_667),
            dts: Some(-0.033_333),
            duration: Some(0.033_333),
            size: 1302,
            is_key: true,
            is_discarded: false,
        };
        assert_eq!(Packet::parse(line), Some(expected));
    }

    #[test]
    fn what_is_not_known_stays_out() {
        let packet =
            Packet::parse("stream_index=0|pts_time=N/A|dts_time=1.5|duration_time=0.0|size=1|flags=_D")
                .unwrap();
        assert_eq!((packet.pts, packet.duration, packet.time()), (None, None, Some(1.5)));
        assert!(packet.is_discarded && !packet.is_key);
        for other in ["", "side_data|", "stream_index=x|size=1", "size=5"] {
            assert_eq!(Packet::parse(other), None, "{other}");
        }
        let odd = Packet::parse("stream_index=0|pts_time=inf|size=-1").unwrap();
        assert_eq!((odd.pts, odd.size), (None, 0));
    }
}
