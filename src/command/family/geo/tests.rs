use crate::command::testing::Bench;

const ADD: &str = "GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";

fn sicily() -> Bench {
    let mut bench = Bench::new();
    assert_eq!(bench.run(ADD), ":2\r\n");
    bench
}

fn check(bench: &mut Bench, cases: &[(&str, &str)]) {
    for (line, want) in cases {
        assert_eq!(bench.run(line), *want, "{line}");
    }
}

#[test]
fn places_are_added_as_scores_and_propagated_as_such() {
    let mut bench = sicily();
    let want = "ZADD s 3479099956230698 Palermo 3479447370796909 Catania";
    assert_eq!(bench.propagated(), [want]);
    check(
        &mut bench,
        &[
            (ADD, ":0\r\n"),
            ("GEOADD s NX 0 0 Palermo", ":0\r\n"),
            ("GEOADD s XX CH 13.361389 38 Palermo", ":1\r\n"),
            ("GEOADD s XX NX 0 0 a", "-ERR syntax error\r\n"),
            ("GEOADD s 0 0 a 1", "-ERR syntax error\r\n"),
            ("GEOADD s NX CH CH", "-ERR syntax error\r\n"),
            ("GEOADD s x 0 a", "-ERR value is not a valid float\r\n"),
            (
                "GEOADD s 200 10 a",
                "-ERR invalid longitude,latitude pair 200.000000,10.000000\r\n",
            ),
        ],
    );
    assert_eq!(
        bench.propagated(),
        ["ZADD s XX CH 3479096650853999 Palermo"]
    );
}

#[test]
fn single_places_are_shown_in_all_forms() {
    let mut bench = sicily();
    let palermo = "*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n";
    check(
        &mut bench,
        &[
            ("GEOPOS s Palermo none", &format!("*2\r\n{palermo}*-1\r\n")),
            (
                "GEOHASH s Palermo none",
                "*2\r\n$11\r\nsqc8b49rny0\r\n$-1\r\n",
            ),
            ("GEODIST s Palermo Catania", "$11\r\n166274.1516\r\n"),
            ("GEODIST s Palermo Catania KM", "$8\r\n166.2742\r\n"),
            ("GEODIST s Palermo none", "$-1\r\n"),
            (
                "GEODIST s Palermo Catania x",
                "-ERR unsupported unit provided. please use M, KM, FT, MI\r\n",
            ),
        ],
    );
}

#[test]
fn searches_find_what_is_within_a_circle_or_a_box() {
    let mut bench = sicily();
    let both = "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n";
    let near = "*2\r\n$7\r\nCatania\r\n$7\r\nPalermo\r\n";
    let catania = "*1\r\n$7\r\nCatania\r\n";
    check(
        &mut bench,
        &[
            ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC", near),
            ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km DESC", both),
            ("GEOSEARCH s FROMMEMBER Catania BYRADIUS 1 km", catania),
            (
                "GEOSEARCH s FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 1",
                catania,
            ),
            ("GEORADIUS s 15 37 200 km ASC", near),
            ("GEORADIUS_RO s 15 37 100 km", catania),
            ("GEORADIUSBYMEMBER s Palermo 200 km ASC", both),
            ("GEORADIUSBYMEMBER_RO s Catania 200 km ASC COUNT 1", catania),
            (
                "GEORADIUS s 15 37 100 km WITHDIST WITHHASH",
                "*1\r\n*3\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n:3479447370796909\r\n",
            ),
            ("GEOSEARCH none FROMMEMBER x BYRADIUS 1 m", "*0\r\n"),
            ("GEORADIUSBYMEMBER none x 1 m", "*0\r\n"),
        ],
    );
}

#[test]
fn results_are_stored_with_their_places_or_distances() {
    let mut bench = sicily();
    bench.propagated();
    let line = "GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 100 km";
    assert_eq!(bench.run(line), ":1\r\n");
    assert_eq!(bench.propagated(), [line]);
    assert_eq!(bench.run("ZSCORE d Catania"), "$16\r\n3479447370796909\r\n");
    bench.run("GEORADIUS s 15 37 100 km STOREDIST d");
    assert!(
        bench
            .run("ZSCORE d Catania")
            .starts_with("$16\r\n56.4412578701")
    );
    assert_eq!(bench.run("GEORADIUS s 0 0 1 km STORE d"), ":0\r\n");
    assert!(!bench.holds("d"));
}

#[test]
fn what_searches_refuse() {
    let mut bench = sicily();
    let unit = "-ERR unsupported unit provided. please use M, KM, FT, MI\r\n";
    check(
        &mut bench,
        &[
            ("GEORADIUS s 15 37 x km", "-ERR need numeric radius\r\n"),
            (
                "GEORADIUS s 15 37 -1 km",
                "-ERR radius cannot be negative\r\n",
            ),
            ("GEORADIUS s 15 37 1 x", unit),
            (
                "GEORADIUS s 15 37 1 km COUNT 0",
                "-ERR COUNT must be > 0\r\n",
            ),
            (
                "GEORADIUS s 15 37 1 km ANY",
                "-ERR the ANY argument requires COUNT argument\r\n",
            ),
            ("GEORADIUS_RO s 15 37 1 km STORE d", "-ERR syntax error\r\n"),
            (
                "GEORADIUS s 15 37 1 km WITHDIST STORE d",
                "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and \
                 WITHCOORD options\r\n",
            ),
            (
                "GEORADIUSBYMEMBER s none 1 km",
                "-ERR could not decode requested zset member\r\n",
            ),
            (
                "GEOSEARCH s BYRADIUS 1 km ASC ASC",
                "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH\r\n",
            ),
            (
                "GEOSEARCH s FROMLONLAT 1 1 ASC ASC",
                "-ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH\r\n",
            ),
            (
                "GEOSEARCH s FROMLONLAT 1 1 BYBOX x 1 m",
                "-ERR need numeric width\r\n",
            ),
            (
                "GEOSEARCH s FROMLONLAT 1 1 BYBOX 1 x m",
                "-ERR need numeric height\r\n",
            ),
            (
                "GEOSEARCH s FROMLONLAT 1 1 BYBOX 1 -1 m",
                "-ERR height or width cannot be negative\r\n",
            ),
        ],
    );
}
