//! Messages of room clients, as JSON and as the arguments of a remote call.

use commonroom::protocol::room_api::{ClientMessage, amf};
use commonroom::protocol::{amf0, room_api};

const NAMES: [&str; 6] =
    ["connection", "sendData", "publishStream", "playStream", "sendStreamEvent", "adaptStream"];

/// A text frame.
pub(crate) fn json(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(Ok(message)) = ClientMessage::parse(&text) {
        // What was read can be said again.
        let _ = serde_json::to_string(&message);
    }
    // A client reads what servers say by the same types.
    let _ = serde_json::from_str::<room_api::ServerMessage>(&text);
}

/// A remote call over RTMP: which one, and its arguments.
pub(crate) fn call(input: &[u8]) {
    let Some((which, bytes)) = input.split_first() else { return };
    let name = NAMES[usize::from(*which) % NAMES.len()];
    if let Ok(arguments) = amf0::decode_all(bytes) {
        let _ = amf::read(name, &arguments);
        for argument in &arguments {
            let json = amf::to_json(argument);
            assert_eq!(amf::to_json(&amf::from_json(&json)), json, "JSON survives AMF");
        }
    }
}

pub(crate) fn json_seeds() -> Vec<Vec<u8>> {
    let messages = [
        r#"{"message":"connection","data":[{"appKey":"roomApp","mediaProviders":["WebRTC"],"custom":{"login":"alice"},"commonroom":{"version":1,"key":"00"}}]}"#,
        r#"{"message":"pong","data":[null]}"#,
        r#"{"message":"sendData","data":[{"operationId":"1","payload":{"command":"join","options":{"name":"r1","record":false}}}]}"#,
        r#"{"message":"sendData","data":[{"operationId":"2","payload":{"command":"sendMessage","options":{"roomConfig":{"name":"r1"},"to":"bob","text":"\ud83d\ude00\n"}}}]}"#,
        r#"{"message":"sendData","data":[{"operationId":"3","payload":{"command":"moderate","options":{"name":"r1","action":"mute","login":"bob","medium":"audio"}}}]}"#,
        r#"{"message":"publishStream","data":[{"mediaSessionId":"a1","name":"r1-alice-eb8c","hasVideo":true,"sdp":"v=0\r\n","custom":{"name":"r1"},"constraints":{"video":{"type":"screen"}}}]}"#,
        r#"{"message":"playStream","data":[{"mediaSessionId":"b1","name":"r1-alice-eb8c","width":"640","sdp":"v=0\r\n"}]}"#,
        r#"{"message":"sendStreamEvent","data":[{"mediaSessionId":"a1","type":"data","payload":{"a":[1,2.5,null]}}]}"#,
        r#"{"message":"adaptStream","data":[{"mediaSessionId":"b1","maxHeight":180,"paused":true}]}"#,
        r#"{"message":"notifyStreamStatusEvent","data":[{"mediaSessionId":"a1","published":true,"hasAudio":true,"hasVideo":true,"status":"FAILED","info":"No common codecs","mediaProvider":"WebRTC","record":false}]}"#,
        r#"{"message":"OnDataEvent","data":[{"payload":{"roomName":"r1","name":"STATE","info":["bob",{"login":"a","name":"b"}]}}]}"#,
    ];
    messages.iter().map(|message| message.as_bytes().to_vec()).collect()
}

pub(crate) fn call_seeds() -> Vec<Vec<u8>> {
    let texts = json_seeds();
    let calls = texts.iter().filter_map(|text| {
        let envelope: room_api::Envelope = serde_json::from_slice(text).ok()?;
        let which = NAMES.iter().position(|name| *name == envelope.message)?;
        let arguments: Vec<_> = envelope.data.iter().map(amf::from_json).collect();
        Some([&[which as u8][..], &amf0::encode_all(&arguments)].concat())
    });
    calls.collect()
}
