//! The services of the test fleet (`lab::FLEET`) on its LAN, and the TLS in front of some.
//!
//! Not here: the web servers themselves (`upstream`). To add a service: a server here and its line in the fleet.

use super::lab::Lab;
use super::network::Background;
use super::upstream::Upstream;

/// Two TLS servers of Debian's haproxy in front of `git`: one with a certificate of its own making, one with a
/// certificate of a CA that the home trusts.
const TLS_FRONT: &str = "\
global
    maxconn 200
defaults
    mode tcp
    timeout connect 2s
    timeout client 60s
    timeout server 60s
listen own
    bind 192.168.1.21:3000 ssl crt /etc/lan/own.pem
    server plain 192.168.1.21:3001
listen trusted
    bind 192.168.1.21:3443 ssl crt /etc/lan/trusted.pem
    server plain 192.168.1.21:3001
";

/// Makes the certificates that [`TLS_FRONT`] shows, in `/etc/lan`.
const CERTIFICATES: &str = "
install -d /etc/lan; cd /etc/lan
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30'
openssl req -x509 $key -subj /CN=own -addext subjectAltName=DNS:git.example.org,DNS:strict.example.org -keyout own.key -out own.crt
openssl req -x509 $key -subj /CN=ca -keyout ca.key -out ca.crt
openssl req $key -subj /CN=trusted -keyout trusted.key -out trusted.csr
printf 'subjectAltName=DNS:trusted.example.org\\n' >trusted.ext
openssl x509 -req -in trusted.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile trusted.ext -out trusted.crt
cat own.crt own.key >own.pem; cat trusted.crt trusted.key >trusted.pem
";

/// What serves the fleet's domains and ports; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Services {
    _tls: Background,
    pub(crate) cloud: Upstream,
    pub(crate) git: Upstream,
    pub(crate) photos: [Upstream; 2],
    pub(crate) private: Upstream,
    pub(crate) game: Upstream,
}

impl Services {
    /// Starts them all. The home trusts the CA of one of them, so this comes before the home's haproxy.
    pub(crate) fn start(lab: &Lab) -> Self {
        let lan = &lab.wires.lan;
        lab.outside.ask(CERTIFICATES);
        lab.outside.put("/etc/lan/haproxy.cfg", 0o644, TLS_FRONT);
        let ca = lab.outside.read("/etc/lan/ca.crt").expect("a CA was made");
        lab.home.put("/usr/local/share/ca-certificates/lan.crt", 0o644, ca);
        lab.home.ask("update-ca-certificates");
        Self {
            _tls: lab.outside.spawn_in(lan, "tls", &["haproxy", "-db", "-f", "/etc/lan/haproxy.cfg"]),
            cloud: Upstream::web(lan, "192.168.1.20:8080"),
            git: Upstream::web(lan, "192.168.1.21:3001"),
            photos: [Upstream::web(lan, "192.168.1.30:2342"), Upstream::web(lan, "192.168.1.31:2342")],
            private: Upstream::web(lan, "192.168.1.40:80"),
            game: Upstream::echo(lan, "192.168.1.50:25565"),
        }
    }
}
