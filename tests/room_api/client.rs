//! Clients that speak to a server by the types of the protocol.

use crate::site::Site;
use commonroom::config::{Http, Webrtc};
use commonroom::protocol::room_api::{
    Ack, AckStatus, ClientMessage, Command, Connection, Custom, DataStatus, Declaration, Event, Join, Label,
    Leave, Play, Publish, RoomConfig, SendData, SendMessage, ServerMessage, Status, Stream, StreamRoom,
    StreamStatus, UserData, Word,
};
use commonroom::room::{Limits, Name, Protocol, Publication};
use commonroom::time::NtpTime;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything takes that is promised.
const PATIENCE: Duration = Duration::from_secs(12);
const OFFER_TO_PUBLISH: &str = include_str!("../data/sdp/chromium-whip-h264.sdp");
const OFFER_TO_PLAY: &str = include_str!("../data/sdp/chromium-whep.sdp");
pub(crate) const ROOM: &str = "r1";

/// A client of the room API.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    operations: u32,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default(), Http::default())
    }

    pub(crate) fn with(limits: Limits, http: Http) -> Self {
        Self::start(limits, http, Webrtc::default(), None)
    }

    /// Opens a WebSocket with these headers, or is refused.
    pub(crate) async fn open(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Client, Box<Response<Option<Vec<u8>>>>> {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        let mut request = format!("ws://{}{path}", self.address).into_client_request().expect("an address");
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Client { socket, operations: 0 }),
            Err(tungstenite::Error::Http(response)) => Err(response),
            Err(error) => panic!("{error}"),
        }
    }

    /// One that has not said anything yet.
    pub(crate) async fn stranger(&self) -> Client {
        self.open("/", &[]).await.expect("nothing speaks against it")
    }

    /// One of the SDK.
    pub(crate) async fn sdk(&self, login: &str) -> Client {
        let mut client = self.stranger().await;
        client.introduce(login, None).await;
        client
    }

    /// One that knows the additions.
    pub(crate) async fn declared(&self, login: &str, key: Option<&str>) -> Client {
        let mut client = self.stranger().await;
        let key = key.map(label);
        client.introduce(login, Some(Declaration { version: 1, key })).await;
        client
    }

    /// A declared one that is in the room; with the room as it found it.
    pub(crate) async fn member(&self, login: &str) -> Client {
        let mut client = self.declared(login, None).await;
        client.join(ROOM).await;
        client
    }

    /// An encoder.
    pub(crate) fn encoder(&self, room: &str, login: &str) -> Publication {
        let name = |text: &str| text.parse::<Name>().expect("a valid name");
        let published = self.rooms.publish(name(room), name(login), Protocol::Rtmp, NtpTime::default());
        published.unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// Waits until the HTTP server has ended.
    pub(crate) async fn end(self) {
        self.http_stop.cancel();
        timeout(PATIENCE, self.running).await.expect("it ends in time").expect("it does not panic");
    }
}

impl Client {
    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        // A server that has closed does not take it any more.
        drop(self.socket.send(Message::Text(text.into().into())).await);
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &'static [u8]) {
        drop(self.socket.send(Message::Binary(bytes.into())).await);
    }

    pub(crate) async fn say(&mut self, message: &ClientMessage) {
        self.send(serde_json::to_string(message).expect("all that is said has a name")).await;
    }

    /// The next frame as it is; pings are answered and left out.
    pub(crate) async fn hear_json(&mut self) -> Value {
        loop {
            let frame = timeout(PATIENCE, self.socket.next()).await.expect("the server says something");
            match frame {
                Some(Ok(Message::Text(text))) => {
                    let json: Value = serde_json::from_str(&text).expect("JSON");
                    assert!(json["data"].is_array(), "the SDK looks into it before all else: {json}");
                    if json["message"] != "ping" {
                        return json;
                    }
                    self.say(&ClientMessage::Pong([None])).await;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn hear(&mut self) -> ServerMessage {
        let json = self.hear_json().await;
        serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{error}: {json}"))
    }

    /// The next event of the room.
    pub(crate) async fn event(&mut self) -> Event {
        match self.hear().await {
            ServerMessage::OnData((data,)) => {
                assert_eq!(data.payload.room_name, ROOM);
                data.payload.event
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next status of a stream.
    pub(crate) async fn status(&mut self) -> StreamStatus {
        match self.hear().await {
            ServerMessage::NotifyStreamStatusEvent((status,)) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// The next must be the final status of a stream.
    pub(crate) async fn finished(&mut self, id: &str, status: Status, info: &str) {
        let told = self.status().await;
        let said = told.info.as_ref().map_or("", |info| info.as_str());
        assert_eq!((told.media_session_id.as_str(), told.status, said), (id, status, info), "{told:?}");
    }

    /// Has nothing to hear.
    pub(crate) async fn hears_nothing(&mut self) {
        // What has happened already may wait behind the first answers, but not behind all of them.
        for _ in 0..8 {
            self.say(&ClientMessage::Ping([None])).await;
            assert_eq!(self.hear().await, ServerMessage::Pong([]));
        }
    }

    /// Waits until the server has closed; gives code and reason. What it still says is passed over.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            let frame = timeout(PATIENCE, self.socket.next()).await.expect("the server closes");
            match frame {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Text(_) | Message::Ping(_))) => {}
                other => panic!("no goodbye: {other:?}"),
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(mut self) {
        drop(self.socket.close(None).await);
    }

    pub(crate) async fn introduce(&mut self, login: &str, commonroom: Option<Declaration>) -> UserData {
        let connection = Connection {
            app_key: Some("roomApp".into()),
            media_providers: vec!["WebRTC".into()],
            client_version: Some("2.0".into()),
            custom: Custom { login: Some(login.into()), token: None },
            commonroom,
        };
        self.say(&ClientMessage::Connection((Box::new(connection),))).await;
        match self.hear().await {
            ServerMessage::GetUserData((data,)) => data,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a command without waiting for its acknowledgement; gives the operation.
    pub(crate) async fn command(&mut self, payload: Command) -> Label {
        self.operations += 1;
        let operation_id = label(&format!("operation-{}", self.operations));
        self.say(&ClientMessage::SendData((SendData { operation_id: operation_id.clone(), payload },))).await;
        operation_id
    }

    /// The acknowledgement of a command, which must be the next that comes.
    pub(crate) async fn ask(&mut self, payload: Command) -> DataStatus {
        let operation = self.command(payload).await;
        match self.hear().await {
            ServerMessage::DataStatus((status,)) => {
                assert_eq!(status.operation_id, operation);
                status
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn accepted(&mut self, payload: Command) -> Option<Ack> {
        let ack = self.ask(payload).await;
        assert_eq!((ack.status, ack.info), (AckStatus::Accepted, None));
        ack.commonroom
    }

    /// The refusal of a command: its word and its sentence.
    pub(crate) async fn refused(&mut self, payload: Command) -> (Word, String) {
        let ack = self.ask(payload).await;
        assert_eq!(ack.status, AckStatus::Failed);
        match ack.commonroom {
            Some(Ack::Refused { error }) => (error, ack.info.expect("a sentence")),
            other => panic!("{other:?}"),
        }
    }

    /// Enters; gives the room as it is found.
    pub(crate) async fn join(&mut self, room: &str) -> Event {
        self.accepted(join(room)).await;
        match self.hear().await {
            ServerMessage::OnData((data,)) if data.payload.room_name == room => data.payload.event,
            other => panic!("{other:?}"),
        }
    }

    /// Offers a stream.
    pub(crate) async fn offer(&mut self, id: &str, name: &str) {
        self.say(&ClientMessage::PublishStream((Box::new(publish(id, name)),))).await;
    }

    /// Asks for a stream.
    pub(crate) async fn want(&mut self, id: &str, name: &str) {
        let room = StreamRoom { name: Some(ROOM.into()) };
        let play = Play {
            media_session_id: label(id),
            name: label(name),
            sdp: OFFER_TO_PLAY.into(),
            custom: room,
            width: 0,
            height: 0,
            transport: None,
        };
        self.say(&ClientMessage::PlayStream((Box::new(play),))).await;
    }

    /// The next must be the answer to an offer.
    pub(crate) async fn answer(&mut self, id: &str) -> String {
        match self.hear().await {
            ServerMessage::SetRemoteSdp(to, sdp, true) if to.as_str() == id => sdp,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn label(text: &str) -> Label {
    Label::try_from(text).expect("short text")
}

pub(crate) fn join(room: &str) -> Command {
    Command::Join(Join { name: room.into(), record: false })
}

pub(crate) fn leave(room: &str) -> Command {
    Command::Leave(Leave { name: room.into() })
}

pub(crate) fn line(to: Option<&str>, text: &str) -> Command {
    let room_config = RoomConfig { name: ROOM.into() };
    Command::SendMessage(SendMessage { room_config, to: to.map(Into::into), text: text.into() })
}

pub(crate) fn publish(id: &str, name: &str) -> Publish {
    Publish {
        media_session_id: label(id),
        name: label(name),
        sdp: OFFER_TO_PUBLISH.into(),
        custom: StreamRoom { name: Some(ROOM.into()) },
        has_audio: true,
        has_video: true,
        record: false,
        constraints: Value::Null,
        transport: None,
    }
}

pub(crate) fn stream(id: &str) -> Stream {
    Stream { media_session_id: label(id), name: None }
}
