//! The one TLS provider of the process.

/// Makes `ring` the TLS provider of the process. Call it first thing in `main` and in every test harness: without a
/// provider the first TLS configuration panics. Further calls change nothing.
pub fn install_crypto() {
    // The error means that a provider is installed already, which is all we want.
    let _already = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #[test]
    fn installing_twice_is_fine() {
        super::install_crypto();
        super::install_crypto();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
