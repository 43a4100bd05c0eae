//! A fleet as it was written: every key that there is, its type, and its place; nothing judged yet.
//!
//! To add a key: name it in the mapping's list here, give the struct a field, and judge it in `rules`.

use super::rule::Rule;
use super::shape::{Fields, Given, one_or_more};
use super::yaml::{Node, Value};
use crate::diag::{Findings, Problem, Span, Spanned};

/// A text that is there, or was reported.
pub(super) type Text = Given<Spanned<String>>;
/// A text that may be left out.
pub(super) type MaybeText = Given<Option<Spanned<String>>>;
/// Texts of a list, each on its own.
pub(super) type Texts = Given<Vec<Text>>;
/// A number that may be left out.
pub(super) type MaybeInteger = Given<Option<Spanned<i64>>>;
/// A truth value that may be left out.
pub(super) type MaybeBoolean = Given<Option<Spanned<bool>>>;

/// Lists longer than these are refused: what comes after would not fit a user-data field or a haproxy either.
const MOST_NODES: usize = 4_096;
const MOST_SERVICES: usize = 4_096;
const MOST_PORTS: usize = 512;
const MOST_OF_OTHERS: usize = 64;

/// The whole file.
pub(super) struct RawFleet {
    pub(super) name: Text,
    pub(super) admin: Given<RawAdmin>,
    pub(super) home: Given<RawHome>,
    pub(super) ingress: Given<Vec<Given<RawIngress>>>,
    pub(super) mesh: Given<RawMesh>,
    pub(super) services: Given<Vec<Given<RawService>>>,
    pub(super) ports: Given<Vec<Given<RawPort>>>,
    pub(super) acme_server: MaybeText,
    pub(super) dns: Given<Option<RawDns>>,
    pub(super) allow: Texts,
    pub(super) mesh_dns: MaybeText,
    /// Where a finding about the fleet as a whole goes: the key `fleet`, or the start.
    pub(super) place: Span,
}

/// `admin`.
pub(super) struct RawAdmin {
    pub(super) place: Span,
    pub(super) email: Text,
    pub(super) ssh_keys: Texts,
}

/// `home`.
pub(super) struct RawHome {
    pub(super) place: Span,
    pub(super) name: Text,
    pub(super) network: Given<RawNetwork>,
    pub(super) lan: Texts,
    pub(super) mesh_listen: MaybeBoolean,
    pub(super) wans: Given<Vec<Given<RawWan>>>,
    pub(super) max_connections: MaybeInteger,
}

/// `home.network`.
pub(super) enum RawNetwork {
    Dhcp,
    Static { address: Text, gateway: Text, dns: Texts, place: Span },
}

/// An entry of `home.wans`.
pub(super) struct RawWan {
    pub(super) name: Text,
    pub(super) address: Text,
    pub(super) weight: MaybeInteger,
}

/// An entry of `ingress`.
pub(super) struct RawIngress {
    pub(super) name: Text,
    pub(super) provider: Text,
    pub(super) location: MaybeText,
    pub(super) addresses: Texts,
    pub(super) max_connections: MaybeInteger,
}

/// `mesh`.
pub(super) struct RawMesh {
    pub(super) peers: Texts,
    pub(super) port: MaybeInteger,
    /// The key `mesh`, else the fleet's place.
    pub(super) place: Span,
}

/// An entry of `services`.
pub(super) struct RawService {
    pub(super) domain: Text,
    pub(super) to: Texts,
    pub(super) to_place: Span,
    pub(super) verify: MaybeBoolean,
    pub(super) check: MaybeText,
    pub(super) clearnet: MaybeBoolean,
}

/// An entry of `ports`.
pub(super) struct RawPort {
    pub(super) listen: Given<Spanned<i64>>,
    pub(super) to: Text,
}

/// `dns`.
pub(super) struct RawDns {
    pub(super) place: Span,
    pub(super) provider: Text,
    pub(super) server: MaybeText,
    pub(super) zone: Text,
    pub(super) key: Text,
}

const TOP: &[&str] = &[
    "version", "fleet", "admin", "home", "ingress", "mesh", "services", "ports", "acme", "dns", "mesh-dns",
    "firewall",
];

/// Reads the tree; what is missing or of a wrong type is reported.
pub(super) fn read(root: &Node, findings: &mut Findings) -> Given<RawFleet> {
    let start = Span { start: root.span.start, end: root.span.start };
    let fields = Fields::read(root, start, "the fleet", TOP, findings)?;
    version(&fields, findings);
    let place = fields.optional("fleet").map_or(start, |pair| pair.key_span);
    Ok(RawFleet {
        name: fields.text("fleet", "hearth", findings),
        admin: admin(&fields, findings),
        home: home(&fields, findings),
        ingress: entries(&fields, "ingress", MOST_NODES, findings, ingress),
        mesh: mesh(&fields, place, findings),
        services: entries(&fields, "services", MOST_SERVICES, findings, service),
        ports: entries(&fields, "ports", MOST_PORTS, findings, port),
        acme_server: acme(&fields, findings),
        dns: dns(&fields, findings),
        allow: allow(&fields, findings),
        mesh_dns: fields.optional_text("mesh-dns", findings),
        place,
    })
}

fn version(fields: &Fields<'_>, findings: &mut Findings) {
    let Ok(pair) = fields.required("version", "1", findings) else { return };
    let is_one = matches!(&pair.value.value, Value::Scalar { text, plain: true } if text == "1");
    if !is_one && !matches!(pair.value.value, Value::Refused(_)) {
        let problem = Problem::new(Rule::Version, "this meshboot reads version 1 of the format only")
            .hint("write `version: 1`, or use the meshboot that wrote this file");
        findings.error(pair.value.span, problem);
    }
}

/// The mappings of a list.
fn entries<T>(
    fields: &Fields<'_>,
    key: &str,
    most: usize,
    findings: &mut Findings,
    mut read: impl FnMut(&Node, &mut Findings) -> Given<T>,
) -> Given<Vec<Given<T>>> {
    let items = fields.list(key, most, findings)?;
    Ok(items.into_iter().map(|item| read(item, findings)).collect())
}

fn admin(fields: &Fields<'_>, findings: &mut Findings) -> Given<RawAdmin> {
    let pair =
        fields.required("admin", "{email: me@example.org, ssh-keys: [\"ssh-ed25519 …\"]}", findings)?;
    let place = pair.key_span;
    let fields = Fields::read(&pair.value, place, "`admin`", &["email", "ssh-keys"], findings)?;
    let email = fields.text("email", "me@example.org", findings);
    let ssh_keys = fields.required("ssh-keys", "[\"ssh-ed25519 …\"]", findings);
    let ssh_keys = ssh_keys.and_then(|_| fields.texts("ssh-keys", MOST_OF_OTHERS, findings));
    Ok(RawAdmin { place, email, ssh_keys })
}

fn home(fields: &Fields<'_>, findings: &mut Findings) -> Given<RawHome> {
    let pair = fields.required("home", "{name: hearth, wans: []}", findings)?;
    let place = pair.key_span;
    let known = ["name", "network", "lan", "mesh-listen", "wans", "max-connections"];
    let fields = Fields::read(&pair.value, place, "`home`", &known, findings)?;
    Ok(RawHome {
        place,
        name: fields.text("name", "hearth", findings),
        network: network(&fields, findings),
        lan: fields.texts("lan", MOST_OF_OTHERS, findings),
        mesh_listen: fields.optional_boolean("mesh-listen", findings),
        wans: entries(&fields, "wans", MOST_OF_OTHERS, findings, wan),
        max_connections: fields.optional_integer("max-connections", findings),
    })
}

fn network(fields: &Fields<'_>, findings: &mut Findings) -> Given<RawNetwork> {
    let Some(pair) = fields.optional("network") else { return Ok(RawNetwork::Dhcp) };
    match &pair.value.value {
        Value::Scalar { text, .. } if text == "dhcp" => return Ok(RawNetwork::Dhcp),
        Value::Scalar { text, .. } => {
            let message =
                format!("`network` is {} where `dhcp` or an address belongs", crate::diag::quote(text));
            let problem = Problem::new(Rule::WrongType, message)
                .hint("write `network: dhcp` or `network: {address: 192.168.1.10/24, gateway: 192.168.1.1, dns: [192.168.1.1]}`");
            return Err(findings.error(pair.value.span, problem));
        }
        _ => {}
    }
    let place = pair.key_span;
    let fields = Fields::read(&pair.value, place, "`network`", &["address", "gateway", "dns"], findings)?;
    let dns = fields.optional("dns").map_or(Ok(Vec::new()), |pair| one_or_more(pair, 8, findings));
    Ok(RawNetwork::Static {
        address: fields.text("address", "192.168.1.10/24", findings),
        gateway: fields.text("gateway", "192.168.1.1", findings),
        dns,
        place,
    })
}

fn wan(item: &Node, findings: &mut Findings) -> Given<RawWan> {
    let fields =
        Fields::read(item, item.span, "an entry of `wans`", &["name", "address", "weight"], findings)?;
    Ok(RawWan {
        name: fields.text("name", "fiber", findings),
        address: fields.text("address", "203.0.113.10", findings),
        weight: fields.optional_integer("weight", findings),
    })
}

fn ingress(item: &Node, findings: &mut Findings) -> Given<RawIngress> {
    let known = ["name", "provider", "location", "address", "max-connections"];
    let fields = Fields::read(item, item.span, "an entry of `ingress`", &known, findings)?;
    let address = fields.optional("address");
    Ok(RawIngress {
        name: fields.text("name", "fra1", findings),
        provider: fields.text("provider", "generic", findings),
        location: fields.optional_text("location", findings),
        addresses: address.map_or(Ok(Vec::new()), |pair| one_or_more(pair, MOST_OF_OTHERS, findings)),
        max_connections: fields.optional_integer("max-connections", findings),
    })
}

fn mesh(fields: &Fields<'_>, place: Span, findings: &mut Findings) -> Given<RawMesh> {
    let Some(pair) = fields.optional("mesh") else {
        return Ok(RawMesh { peers: Ok(Vec::new()), port: Ok(None), place });
    };
    let fields = Fields::read(&pair.value, pair.key_span, "`mesh`", &["peers", "port"], findings)?;
    Ok(RawMesh {
        peers: fields.texts("peers", MOST_OF_OTHERS, findings),
        port: fields.optional_integer("port", findings),
        place: pair.key_span,
    })
}

fn service(item: &Node, findings: &mut Findings) -> Given<RawService> {
    let known = ["domain", "to", "verify", "check", "clearnet"];
    let fields = Fields::read(item, item.span, "an entry of `services`", &known, findings)?;
    let domain = fields.text("domain", "cloud.example.org", findings);
    let to = fields.required("to", "\"http://192.168.1.20:8080\"", findings);
    Ok(RawService {
        domain,
        to_place: to.map_or(item.span, |pair| pair.key_span),
        to: to.and_then(|pair| one_or_more(pair, MOST_OF_OTHERS, findings)),
        verify: fields.optional_boolean("verify", findings),
        check: fields.optional_text("check", findings),
        clearnet: fields.optional_boolean("clearnet", findings),
    })
}

fn port(item: &Node, findings: &mut Findings) -> Given<RawPort> {
    let fields = Fields::read(item, item.span, "an entry of `ports`", &["listen", "to"], findings)?;
    Ok(RawPort {
        listen: fields.integer("listen", "25565", findings),
        to: fields.text("to", "\"192.168.1.50:25565\"", findings),
    })
}

fn acme(fields: &Fields<'_>, findings: &mut Findings) -> MaybeText {
    let Some(pair) = fields.optional("acme") else { return Ok(None) };
    let fields = Fields::read(&pair.value, pair.key_span, "`acme`", &["server"], findings)?;
    fields.optional_text("server", findings)
}

fn dns(fields: &Fields<'_>, findings: &mut Findings) -> Given<Option<RawDns>> {
    let Some(pair) = fields.optional("dns") else { return Ok(None) };
    let place = pair.key_span;
    let fields = Fields::read(&pair.value, place, "`dns`", &["provider", "server", "zone", "key"], findings)?;
    if let Some(pair) = fields.optional("key") {
        // Shown only when it says where the secret lies; a secret written out stays out of every snippet.
        let is_reference = matches!(&pair.value.value, Value::Scalar { text, .. }
            if super::values::secret::parse(text).is_ok());
        if !is_reference {
            findings.redact(pair.value.span);
        }
    }
    Ok(Some(RawDns {
        place,
        provider: fields.text("provider", "rfc2136", findings),
        server: fields.optional_text("server", findings),
        zone: fields.text("zone", "example.org", findings),
        key: fields.text("key", "\"env:DNS_KEY\"", findings),
    }))
}

fn allow(fields: &Fields<'_>, findings: &mut Findings) -> Texts {
    let Some(pair) = fields.optional("firewall") else { return Ok(Vec::new()) };
    let fields = Fields::read(&pair.value, pair.key_span, "`firewall`", &["allow"], findings)?;
    fields.texts("allow", 256, findings)
}
