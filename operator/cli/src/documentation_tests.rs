//! The screens in docs/kubectl-tidewatch.md are those that the tests hold.

use tidewatch_testing::repository;

#[test]
fn the_page_shows_the_screens_as_they_are() {
    let page = std::fs::read_to_string(repository().join("docs/kubectl-tidewatch.md")).unwrap();
    for name in ["status-120", "why-zone-pair-120", "doctor-findings-120"] {
        let path = repository().join(format!("operator/cli/screens/{name}.txt"));
        let screen = std::fs::read_to_string(path).unwrap();
        assert!(
            page.contains(&format!("```text\n{screen}```\n")),
            "{name}.txt isn't in the page as it is:\n{screen}"
        );
    }
}
