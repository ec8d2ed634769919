//! How often a stream's times were mended, counted in one place: for the metrics, the log and the API.

use super::bus::Stream;
use crate::media::Repairs;
use std::sync::PoisonError;

impl Stream {
    /// Counts what was mended of the publisher's times. The first of each kind is logged; more may come with every frame.
    pub fn note_repairs(&self, repairs: Repairs) {
        if repairs.is_empty() {
            return;
        }
        let mut all = self.shared().repairs.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, count) in repairs.iter() {
            let word = kind.as_str();
            metrics::counter!("commonroom_timestamp_repairs_total", "kind" => word).increment(count);
            if all.of(kind) == 0 {
                tracing::info!(stream = %self.name(), kind = word, "the publisher's times are mended");
            }
            all.add(kind, count);
        }
    }

    /// What was mended of the publisher's times so far.
    pub fn repairs(&self) -> Repairs {
        *self.shared().repairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bus::StreamName;
    use super::*;
    use crate::media::Repair;
    use crate::time::NtpTime;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn repairs_are_counted_by_kind() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "s".into() };
        let (stream, _publisher) = Stream::publish(name, NtpTime::default());
        metrics::with_local_recorder(&recorder, || {
            stream.note_repairs(Repairs::default());
            stream.note_repairs([(Repair::JumpBack, 1), (Repair::NonMonotonic, 3)].into_iter().collect());
            stream.note_repairs([(Repair::NonMonotonic, 2)].into_iter().collect());
        });
        assert_eq!(stream.repairs().of(Repair::NonMonotonic), 5);
        let text = recorder.handle().render();
        for line in ["_repairs_total{kind=\"jump_back\"} 1", "_repairs_total{kind=\"non_monotonic\"} 5"] {
            assert!(text.contains(line), "{text}");
        }
    }
}
