//! Tables of any width: nothing wraps, and nothing that the cluster says moves the cursor.

use super::*;

fn shown(width: usize, columns: &[Column], cells: &[&str]) -> String {
    let mut screen = Screen::new(width);
    let cells = cells.iter().map(Cell::new).collect();
    screen.table(columns, &[Row { tone: Tone::Bad, cells, note: None }]);
    anstream::adapter::strip_str(&screen.into_text()).to_string()
}

const COLUMNS: [Column; 3] = [
    Column { title: "NAME", fit: Fit::Cut(8) },
    Column { title: "STATE", fit: Fit::Keep },
    Column { title: "SINCE", fit: Fit::Drop(1) },
];

#[test]
fn a_table_with_room_shows_all_columns() {
    assert_eq!(
        shown(80, &COLUMNS, &["checkout", "Degraded", "4m"]),
        "    NAME      STATE     SINCE\n  ✗ checkout  Degraded  4m\n"
    );
}

#[test]
fn a_narrow_table_drops_a_column_and_cuts_the_long_name() {
    let long = "a-very-long-name-of-a-network-monitor-in-a-namespace";
    let text = shown(40, &COLUMNS, &[long, "Degraded", "4m"]);
    assert_eq!(text, "    NAME                        STATE\n  ✗ a-very-long-name-of-a-net…  Degraded\n");
}

#[test]
fn a_column_that_nobody_fills_takes_no_room() {
    assert_eq!(shown(80, &COLUMNS, &["a", "", "4m"]), "    NAME  SINCE\n  ✗ a     4m\n");
}

#[test]
fn wide_characters_are_counted_by_the_columns_they_take() {
    assert_eq!(cut("日本語の名前", 7), "日本語…");
    assert_eq!(cut("日本語", 6), "日本語");
}

#[test]
fn control_characters_of_the_cluster_are_escaped() {
    let hostile = "a\u{1b}[2Jb\rc\u{202e}d\ne";
    let text = shown(80, &COLUMNS, &[hostile, "x", "y"]);
    assert!(text.contains("a\\u{1b}[2Jb\\rc\\u{202e}d\\ne"), "{text}");
    let mut screen = Screen::new(80);
    screen.sentence(hostile, 2);
    screen.signed(Tone::Bad, hostile);
    screen.labelled("Do:", hostile, 2, 6);
    screen.heading("X", hostile);
    let text = anstream::adapter::strip_str(&screen.into_text()).to_string();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn a_sentence_is_broken_between_words_and_indented() {
    let mut screen = Screen::new(40);
    screen.labelled("Do:", "let the node reach Service tidewatch-collector, port 4317", 2, 6);
    let text = anstream::adapter::strip_str(&screen.into_text()).to_string();
    let expected = "  Do:   let the node reach Service\n        tidewatch-collector, port 4317\n";
    assert_eq!(text, expected);
}

#[test]
fn a_name_with_hyphens_is_not_broken() {
    let mut screen = Screen::new(40);
    screen.sentence("look at troubleshooting.md#agents-are-missing", 0);
    assert_eq!(screen.into_text(), "look at\ntroubleshooting.md#agents-are-missing\n");
}
