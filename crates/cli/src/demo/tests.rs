use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_trial_comes_through_the_public_doors_with_its_published_figures_and_resumes() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let mut settings = Settings::default();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        settings.stores.data_dir = directory.path().to_owned();
        settings.config.listen = any_port;
        settings.assignment.listen = any_port;
        settings.ingest.listen = any_port;
        settings.analysis.listen = any_port;
        let listeners = Listeners::bind(&settings).await.unwrap();
        let endpoints = listeners.doors().unwrap().endpoints();
        let platform = Platform::open(&settings).await.unwrap();
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(serve(platform, settings, listeners, shutdown.clone()));
        let stage = Stage::new(endpoints, Namespace::default(), Format::Table, false).unwrap();

        let text = output::results::render(&nsw::replayed(&stage).await.unwrap());
        let figures = "earnings_1978 4,554.80 vs 6,349.14, difference +1,794.34 (+39.39 %)";
        assert!(text.contains(figures), "round {round}\n{text}");
        assert!(
            text.contains("two-sided p = 0.00789 (Welch's t-test)"),
            "round {round}\n{text}"
        );
        let duplicates = format!("duplicates {}", round * 445);
        assert!(text.contains(&duplicates), "round {round}\n{text}");

        shutdown.trigger();
        serving.await.unwrap().unwrap();
    }
}
