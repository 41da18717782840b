//! The control plane's own certificate authority and keys.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::error::Error;

/// A certificate authority, the API server's certificate that it signed, and the key that signs `ServiceAccount` tokens.
/// All PEM, except where the name says otherwise.
pub struct Certificates {
    /// What a client must trust.
    pub authority: String,
    /// The same, as DER.
    pub authority_der: Vec<u8>,
    /// The API server's certificate, for 127.0.0.1 and localhost.
    pub server: String,
    /// The API server's private key.
    pub server_key: String,
    /// The private key that signs `ServiceAccount` tokens.
    pub token_key: String,
    /// The public key that verifies them.
    pub token_public_key: String,
}

impl Certificates {
    /// Makes new keys and certificates.
    pub fn create() -> Result<Self, Error> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "scrobble-operator test authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);

        let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc"].map(str::to_owned);
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server_key = KeyPair::generate()?;
        let server_certificate = server.signed_by(&server_key, &issuer)?;

        let token_key = KeyPair::generate()?;

        Ok(Self {
            authority: authority_certificate.pem(),
            authority_der: authority_certificate.der().to_vec(),
            server: server_certificate.pem(),
            server_key: server_key.serialize_pem(),
            token_key: token_key.serialize_pem(),
            token_public_key: token_key.public_key_pem(),
        })
    }
}
