//! TLS at both ends of a gateway, with a certificate that only these tests believe (`tls/authority.pem`; it and its key
//! protect nothing).

use super::client::{Body, Client, Ended, Request};
use super::h2c;
use bytes::Bytes;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The first byte of a connection with TLS (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// A file beside this one: `authority.pem`, `certificate.pem` (for `gateway.test`, `localhost` and 127.0.0.1), `key.pem`;
/// `second.pem` (for `gateway.test`), `second-key.pem`.
pub(crate) fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "support", "tls", name].iter().collect()
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).expect("a certificate")
}

/// Connects, speaks the first of these protocols that the other side takes too, and says which.
pub(crate) async fn connect(address: SocketAddr, protocols: &[&str]) -> (impl AsyncRead + AsyncWrite + use<>, String) {
    let mut roots = RootCertStore::empty();
    roots.add(certificate("authority.pem")).expect("a root");
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("gateway.test").expect("a name");
    let stream = TcpStream::connect(address).await.expect("somebody listens");
    stream.set_nodelay(true).expect("a socket");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let chosen = stream.get_ref().1.alpn_protocol().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    (stream, chosen)
}

/// The certificate that is shown to whoever connects, as it stands in its file.
pub(crate) async fn shown(address: SocketAddr, expected: &str) -> bool {
    let mut roots = RootCertStore::empty();
    for name in ["authority.pem", "second.pem"] {
        roots.add(certificate(name)).expect("a root");
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("gateway.test").expect("a name");
    let stream = TcpStream::connect(address).await.expect("somebody listens");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    stream.get_ref().1.peer_certificates().expect("a certificate")[0] == certificate(expected)
}

/// TLS in front of a plain address: HTTP/1.1 goes through as it is, HTTP/2 (if offered) is turned into HTTP/1.1. Who speaks no TLS
/// goes through, too.
pub(crate) async fn in_front_of(plain: SocketAddr, protocols: &[&str]) -> SocketAddr {
    counted_in_front_of(plain, protocols).await.0
}

/// What takes connections with TLS and these protocols.
pub(crate) fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).expect("a key");
    let chain = vec![certificate("certificate.pem")];
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// The same as [`in_front_of`], and how many connections were with TLS so far.
pub(crate) async fn counted_in_front_of(plain: SocketAddr, protocols: &[&str]) -> (SocketAddr, Arc<AtomicUsize>) {
    let acceptor = acceptor(protocols);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let with_tls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&with_tls);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut first = [0];
                if stream.peek(&mut first).await.is_ok() && first != [HANDSHAKE] {
                    if let Ok(mut plain) = TcpStream::connect(plain).await {
                        let _ = copy_bidirectional(&mut stream, &mut plain).await;
                    }
                    return;
                }
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    serve_http2(stream, plain).await;
                } else if let Ok(mut plain) = TcpStream::connect(plain).await {
                    // Either end may break the connection; that is what some tests are about.
                    let _ = copy_bidirectional(&mut stream, &mut plain).await;
                }
            });
        }
    });
    (address, with_tls)
}

/// Turns HTTP/2 into HTTP/1.1.
pub(crate) async fn serve_http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, plain: SocketAddr) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        // An error here is an exchange that somebody broke off.
        tokio::spawn(async move { drop(exchange(request, respond, plain).await) });
    }
}

async fn exchange(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    plain: SocketAddr,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut received = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        received.extend_from_slice(&piece);
    }
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut forwarded = Request::new(head.method.as_str(), target).field("x-arrived-by", "h2");
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "content-length") {
        forwarded = forwarded.field(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    let client = Client::connect(plain).await.expect("the provider listens");
    let mut answer = client.open(&forwarded.body(Body::Length(received.into()))).await;
    let mut builder = http::Response::builder().status(answer.answer.status);
    for (name, value) in &answer.answer.fields {
        if !["transfer-encoding", "connection"].contains(&name.to_ascii_lowercase().as_str()) {
            builder = builder.header(name, value);
        }
    }
    let mut sink = respond.send_response(builder.body(()).expect("a valid answer"), false)?;
    while let Some(piece) = answer.piece().await {
        h2c::send_piece(&mut sink, piece).await;
    }
    if answer.answer.ended == Ended::Broken {
        sink.send_reset(h2::Reason::INTERNAL_ERROR);
        return Ok(());
    }
    sink.send_data(Bytes::new(), true)
}
