//! Many peers come and go, over TCP and UDP; nothing of them stays.

use super::super::mailbox::Mail;
use super::super::shard::Held;
use super::World;
use super::client::{Client, Incoming, PATIENCE};
use crate::server::webrtc::Answer;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than any way over loopback, and much shorter than what closes an idle connection.
const SOON: Duration = Duration::from_secs(2);

impl World {
    /// What all shards hold together.
    async fn held(&self) -> Held {
        let mut sum = Held::default();
        for mailbox in &self.server.inner.common.mailboxes {
            let (answer, held) = tokio::sync::oneshot::channel();
            mailbox.post(Mail::Count(answer));
            let held = held.await.unwrap();
            sum.peers += held.peers;
            sum.routes += held.routes;
            sum.connections += held.connections;
        }
        sum
    }

    /// Waits until the shards hold no more than `expected`.
    async fn settles_at(&self, expected: Held) {
        let settled = async {
            while self.held().await != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, settled).await.is_err() {
            assert_eq!(self.held().await, expected, "something stays");
        }
    }

    async fn answer_and_client(&self, mut client: Client) -> (Answer, Client) {
        let answer = self.play(&client.offer("recvonly")).unwrap();
        client.take_answer(&answer.sdp);
        (answer, client)
    }

    /// Another way of the same client.
    async fn second_path(&self, answer: &Answer) -> Client {
        let mut client = Client::tcp(self.server.local_addr()).await;
        client.take_answer(&answer.sdp);
        client
    }
}

async fn checked(client: &mut Client) {
    client.check(false).await;
    assert!(matches!(client.next().await, Incoming::Other));
}

async fn is_closed_soon(client: &mut Client) {
    let closed = async { while !matches!(client.next().await, Incoming::Closed) {} };
    timeout(SOON, closed).await.expect("the server closes the connection");
}

#[tokio::test]
async fn whoever_comes_over_tcp_leaves_nothing_behind() {
    let world = World::with_places(10);
    let mut publisher = world.publisher().await;
    let before = world.held().await;
    let address = world.server.local_addr();
    for round in 0..300 {
        publisher.check(true).await; // it is gone after some seconds without a sign of life
        // The kernel chooses a shard for each socket, so that both cases come: the peer's own, and another.
        let (answer, mut client) = world.answer_and_client(Client::udp(address).await).await;
        checked(&mut client).await;
        let mut second = world.second_path(&answer).await;
        checked(&mut second).await;
        match round % 3 {
            // The connection first, then the session.
            0 => drop(second),
            // The session first: the connection goes with it.
            1 => {
                assert!(world.server.close(&answer.session));
                is_closed_soon(&mut second).await;
            }
            // At the same time.
            _ => {}
        }
        world.server.close(&answer.session);
    }
    world.settles_at(before).await;
}

#[tokio::test]
async fn sessions_over_tcp_alone_leave_nothing_behind() {
    let world = World::with_places(10);
    let mut publisher = world.publisher().await;
    let before = world.held().await;
    for round in 0..100 {
        publisher.check(true).await;
        let client = Client::tcp(world.server.local_addr()).await;
        let (answer, mut client) = world.answer_and_client(client).await;
        checked(&mut client).await;
        if round % 2 == 0 {
            world.server.close(&answer.session);
            is_closed_soon(&mut client).await;
        } else {
            drop(client);
            world.server.close(&answer.session);
        }
    }
    world.settles_at(before).await;
}

#[tokio::test]
async fn a_connection_without_an_authentic_check_is_closed() {
    let world = World::with_places(10);
    let mut publisher = world.publisher().await;
    let (_answer, mut client) = world.answer_and_client(Client::udp(world.server.local_addr()).await).await;
    checked(&mut client).await;
    let before = world.held().await;
    let forged = client.check_bytes(true, "guessguessguessguessguess");
    // Some of them come to the shard of the peer, some to the other.
    for _ in 0..50 {
        publisher.check(true).await;
        let mut stranger = Client::tcp(world.server.local_addr()).await;
        stranger.send(&forged).await;
        is_closed_soon(&mut stranger).await;
    }
    world.settles_at(before).await;
}

#[tokio::test]
async fn a_connection_stays_only_if_a_check_was_accepted() {
    let world = World::with_places(10);
    let mut publisher = world.publisher().await;
    let (answer, mut client) = world.answer_and_client(Client::tcp(world.server.local_addr()).await).await;
    checked(&mut client).await;
    let before = world.held().await;
    let mut refused = world.second_path(&answer).await;
    refused.send(&refused.controlled_check()).await;
    // Frames do not prolong its stay, empty ones neither.
    let closed = async {
        loop {
            publisher.check(true).await;
            match timeout(Duration::from_millis(250), refused.next()).await {
                Ok(Incoming::Closed) => return,
                Ok(_) => {}
                Err(_) => refused.send(&[0]).await,
            }
        }
    };
    timeout(Duration::from_secs(7), closed).await.expect("the server closes the connection");
    world.settles_at(before).await;
    checked(&mut client).await;
}
