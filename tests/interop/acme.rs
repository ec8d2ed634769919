//! A certificate ordered from Pebble, the test server of Let's Encrypt, which looks for the gateway as an authority does: it
//! asks for the address of a name, connects, and judges what it finds.

use crate::client::Client;
use crate::ffmpeg::scratch;
use crate::gateway::{Gateway, Ports};
use crate::patience;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const NAME: &str = "room.example";

/// An authority that runs, with its own address book.
struct Pebble {
    folder: PathBuf,
    listen: SocketAddr,
    _process: Client,
}

impl Pebble {
    /// It finds every name at 127.0.0.1, there on these ports, and issues for so many seconds.
    fn start(folder: &str, http: u16, https: u16, life: u32) -> Self {
        let folder = scratch(&format!("{folder}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).expect("the scratch folder is writable");
        certify(&folder);
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr());
        let (listen, management) = (free().expect("a free port"), free().expect("a free port"));
        let config = serde_json::json!({ "pebble": {
            "listenAddress": listen,
            "managementListenAddress": management,
            "certificate": folder.join("own.pem"),
            "privateKey": folder.join("own.key"),
            "httpPort": http,
            "tlsPort": https,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": life,
        } });
        fs::write(folder.join("config.json"), config.to_string()).expect("the scratch folder is writable");
        let mut command = Command::new("pebble");
        command
            .arg("-config")
            .arg(folder.join("config.json"))
            .args(["-dnsserver", &address_book().to_string()]);
        // It looks at once, and each time anew; of its wish to refuse a nonce now and then it is not relieved.
        command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        let process = Client::spawn("pebble", &mut command);
        patience::wait("pebble", Duration::from_secs(10), || std::net::TcpStream::connect(listen).is_ok());
        Self { folder, listen, _process: process }
    }

    /// What makes a gateway its client, with a state folder of this name.
    fn options(&self) -> Vec<String> {
        vec![
            format!("http.tls.acme={NAME}"),
            format!("http.tls.acme_directory=https://{}/dir", self.listen),
            format!("http.tls.acme_root={}", self.folder.join("root.pem").display()),
            "http.tls.acme_contact=me@example.org".to_owned(),
            format!("http.tls.state={}", self.folder.join("state").display()),
        ]
    }
}

fn start(ports: Ports, options: &[String]) -> Gateway {
    Gateway::start_on(ports, &options.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A root, and a certificate of it for the authority's own server.
fn certify(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names at all");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
    let own = own.signed_by(&key, &root).expect("a certificate");
    for (name, text) in [("root.pem", root.pem()), ("own.pem", own.pem()), ("own.key", key.serialize_pem())] {
        fs::write(folder.join(name), text).expect("the scratch folder is writable");
    }
}

/// A name server that knows one address for all names, and nothing else of them.
fn address_book() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            // RFC 1035, section 4: a header of twelve bytes, one question whose name ends with an empty label.
            let Some(end) = query.get(12..length).and_then(|rest| rest.iter().position(|&byte| byte == 0))
            else {
                continue;
            };
            let question = &query[12..(12 + end + 5).min(length)];
            let is_address = question.ends_with(&[0, 1, 0, 1]);
            let mut answer =
                [&query[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0], question].concat();
            if is_address {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1]);
            }
            drop(socket.send_to(&answer, from));
        }
    });
    address
}

/// The certificate that a client is shown: its serial number and the names that it is for.
fn shown(address: SocketAddr) -> Option<String> {
    let connect = format!(
        "openssl s_client -connect {address} -servername {NAME} </dev/null 2>/dev/null | \
         openssl x509 -noout -serial -issuer -ext subjectAltName 2>/dev/null"
    );
    let output =
        Command::new("sh").args(["-c", &connect]).stdin(Stdio::null()).output().expect("there is a shell");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How long a certificate may take, in seconds: the authority refuses a nonce now and then by intention, and an order that
/// comes to nothing is tried again after fifteen.
const PATIENCE: u64 = 40;

/// Waits for another certificate than `old`.
fn wait_for_another(address: SocketAddr, old: Option<&str>) -> String {
    let mut certificate = String::new();
    patience::wait("a certificate", Duration::from_secs(PATIENCE), || {
        certificate = shown(address).unwrap_or_default();
        !certificate.is_empty() && Some(certificate.as_str()) != old
    });
    assert!(certificate.contains(&format!("DNS:{NAME}")) && certificate.contains("Pebble"), "{certificate}");
    certificate
}

#[test]
fn a_certificate_is_ordered_kept_and_renewed() {
    let ports = Ports::free();
    // Nobody listens where it would look over HTTP: it is the handshake that convinces it.
    let pebble = Pebble::start("acme-tls", 9, ports.https.port(), 30);
    let mut gateway = start(ports, &pebble.options());
    let first = wait_for_another(ports.https, None);
    gateway.terminate();
    drop(gateway);

    let folder = fs::read_dir(pebble.folder.join("state/acme")).expect("it is kept").next();
    let account = folder.expect("by its directory").expect("readable").path().join("account.json");
    let before = fs::read(&account).expect("an account");
    let gateway = start(ports, &pebble.options());
    assert_eq!(shown(ports.https).as_ref(), Some(&first), "it is there at once after a restart");
    // Two thirds of its thirty seconds.
    let second = wait_for_another(ports.https, Some(&first));
    assert_ne!(first, second);
    assert_eq!(fs::read(&account).expect("an account"), before, "renewed by the same account");
    assert!(!gateway.log().contains("ERROR"), "{}", gateway.log());
    fs::remove_dir_all(&pebble.folder).expect("our own folder");
}

#[test]
fn where_one_way_is_closed_the_other_is_tried() {
    let ports = Ports::free();
    let pebble = Pebble::start("acme-http", ports.http.port(), 9, 3_600);
    let gateway = start(ports, &pebble.options());
    wait_for_another(ports.https, None);
    let log = gateway.log();
    assert!(log.contains("the authority did not find this server at room.example by tls-alpn-01: "), "{log}");
    assert!(log.contains("again_in_seconds=15"), "{log}");
    fs::remove_dir_all(&pebble.folder).expect("our own folder");
}

#[test]
fn an_authority_that_has_forgotten_the_account_gets_a_new_one() {
    let ports = Ports::free();
    let first = Pebble::start("acme-forgets", 9, ports.https.port(), 3_600);
    let mut gateway = start(ports, &first.options());
    let old = wait_for_another(ports.https, None);
    // While the gateway still holds its ports: any free one is taken. The certificate is lost too, or nothing would be ordered.
    let second = Pebble::start("acme-forgot", 9, ports.https.port(), 3_600);
    gateway.terminate();
    drop(gateway);
    let kept = |pebble: &Pebble| {
        let name = format!("127.0.0.1-{}-dir", pebble.listen.port());
        pebble.folder.join("state/acme").join(name)
    };
    fs::create_dir_all(kept(&second)).expect("the scratch folder is writable");
    let account = fs::read_to_string(kept(&first).join("account.json")).expect("an account");
    let account = account.replace(&first.listen.to_string(), &second.listen.to_string());
    fs::write(kept(&second).join("account.json"), account).expect("the scratch folder is writable");
    let gateway = start(ports, &second.options());
    wait_for_another(ports.https, Some(&old));
    assert!(gateway.log().contains("does not know the account"), "{}", gateway.log());
    for pebble in [first, second] {
        fs::remove_dir_all(&pebble.folder).expect("our own folder");
    }
}
