//! The rules' identifiers. Each has a fixture of its name under `tests/fixtures/invalid/` (`tests/check` holds
//! this list and that folder to each other), and is documented by what it says there.
//!
//! To add a rule: a line here, a finding where the value is judged, and a fixture.

macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident = $id:literal,)*) => {
        /// A rule that `fleet.yaml` keeps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[$meta])* $name,)*
        }

        impl Rule {
            /// Every rule, in the order of the source.
            pub const ALL: &[Rule] = &[$(Rule::$name),*];

            /// The identifier in kebab-case.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Rule::$name => $id,)*
                }
            }
        }
    };
}

rules! {
    // The text.
    /// More than [`LARGEST`](super::LARGEST) bytes.
    FileTooLarge = "file-too-large",
    /// Nothing but space and comments.
    EmptyFile = "empty-file",
    /// Bytes that are not UTF-8.
    NotUtf8 = "not-utf-8",
    /// Not YAML.
    YamlSyntax = "yaml-syntax",
    /// An alias or merge key.
    YamlAlias = "yaml-alias",
    /// A tag.
    YamlTag = "yaml-tag",
    /// A second document.
    YamlDocuments = "yaml-documents",
    /// A key that is not plain text.
    YamlKey = "yaml-key",
    /// Nested deeper, or more values, than any fleet.
    YamlSize = "yaml-size",

    // The shape.
    /// A key that meshboot does not know here.
    UnknownKey = "unknown-key",
    /// A key written twice in one mapping.
    DuplicateKey = "duplicate-key",
    /// A key that must be there.
    MissingKey = "missing-key",
    /// A list instead of a text, and the like.
    WrongType = "wrong-type",
    /// A list longer than meshboot can serve.
    TooMany = "too-many",
    /// A text that is longer than any value.
    ValueTooLong = "value-too-long",
    /// A control character inside a value.
    ControlCharacter = "control-character",
    /// A version of the format that this meshboot does not know.
    Version = "version",

    // Names and people.
    /// Not a DNS label of at most 32 characters.
    Name = "name",
    /// Two nodes with one name.
    DuplicateNode = "duplicate-node",
    /// Two WANs with one name.
    DuplicateWan = "duplicate-wan",
    /// Not an e-mail address that a CA takes.
    Email = "email",
    /// No way to log in.
    NoSshKey = "no-ssh-key",
    /// Not an OpenSSH public key.
    SshKey = "ssh-key",
    /// A key that today's sshd refuses.
    SshKeyWeak = "ssh-key-weak",
    /// A private key instead of a public one.
    PrivateKey = "private-key",
    /// The same key twice.
    DuplicateSshKey = "duplicate-ssh-key",

    // Addresses.
    /// Neither an IP address nor a DNS name.
    Address = "address",
    /// An address that cannot be where it is written, as a private one of a WAN.
    AddressKind = "address-kind",
    /// `::ffff:a.b.c.d`.
    AddressMapped = "address-mapped",
    /// `fe80::1%eth0`.
    AddressZone = "address-zone",
    /// An address in `200::/7`.
    AddressMesh = "address-mesh",
    /// A cloud machine inside the LAN.
    AddressInLan = "address-in-lan",
    /// One address for two things.
    DuplicateAddress = "duplicate-address",
    /// Not a network with prefix length.
    NetworkPrefix = "network",
    /// A network that takes in the world.
    NetworkTooWide = "network-too-wide",
    /// Networks of a list that contain each other.
    NetworkOverlap = "network-overlap",
    /// A static address that no machine can have.
    StaticAddress = "static-address",
    /// A gateway that cannot be reached.
    Gateway = "gateway",
    /// A fixed address without a resolver.
    NoResolver = "no-resolver",

    // Home and ingress.
    /// A weight that haproxy does not take.
    Weight = "weight",
    /// A port forward that needs a WAN, and there is none.
    MeshListen = "mesh-listen",
    /// No profile of this name.
    Provider = "provider",
    /// Not a location's name.
    Location = "location",
    /// A connection limit out of range.
    MaxConnections = "max-connections",
    /// The home takes fewer connections than its ingress nodes send.
    ConnectionLimits = "connection-limits",
    /// Nothing relays.
    NoIngress = "no-ingress",
    /// Nothing is served.
    NoService = "no-service",

    // Mesh.
    /// Not a port number.
    Port = "port",
    /// A port that something else listens on.
    PortTaken = "port-taken",
    /// Not a peer's URI.
    PeerUri = "peer-uri",
    /// An option that a peer's URI cannot have here.
    PeerOption = "peer-option",
    /// One peer twice.
    DuplicatePeer = "duplicate-peer",
    /// Home and ingress can never find each other.
    NoFirstContact = "no-first-contact",

    // Services and ports.
    /// Not a domain name.
    Domain = "domain",
    /// `*.example.org`.
    DomainWildcard = "domain-wildcard",
    /// A domain that no public CA certifies.
    DomainNotPublic = "domain-not-public",
    /// A domain that is an uplink's name too.
    DomainOfWan = "domain-of-wan",
    /// Two services with one domain.
    DuplicateDomain = "duplicate-domain",
    /// Not `http://host:port` or `https://host:port`.
    Upstream = "upstream",
    /// An upstream with path, query or user.
    UpstreamExtras = "upstream-extras",
    /// No upstream.
    NoUpstream = "no-upstream",
    /// `http` and `https` in one service.
    MixedSchemes = "mixed-schemes",
    /// One upstream twice.
    DuplicateUpstream = "duplicate-upstream",
    /// A name that only multicast DNS knows.
    UpstreamMdns = "upstream-mdns",
    /// An upstream that is the home's own relay.
    UpstreamLoop = "upstream-loop",
    /// `verify` where nothing can be verified.
    VerifyWithoutTls = "verify-without-tls",
    /// Not a path of a health check.
    CheckPath = "check-path",
    /// Not `host:port`.
    PortTarget = "port-target",
    /// One port twice.
    DuplicatePort = "duplicate-port",

    // Publishing and firewall.
    /// More certificates than the CA issues in a week.
    CaLimits = "ca-limits",
    /// Not an ACME directory.
    AcmeServer = "acme-server",
    /// No publisher of this name.
    DnsProvider = "dns-provider",
    /// A server that is missing or not wanted.
    DnsServer = "dns-server",
    /// Neither `env:NAME` nor `file:PATH`.
    SecretSource = "secret-source",
    /// A domain that the zone cannot hold.
    DomainOutsideZone = "domain-outside-zone",
    /// Not a value of `mesh-dns`.
    MeshDns = "mesh-dns",
    /// An AAAA that breaks certificate renewal.
    MeshDnsRenewal = "mesh-dns-renewal",
    /// One entry of `firewall.allow` twice.
    DuplicateAllow = "duplicate-allow",
}

impl From<Rule> for &'static str {
    fn from(rule: Rule) -> Self {
        rule.id()
    }
}
