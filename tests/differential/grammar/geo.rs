use super::{EXACT, Template};

#[rustfmt::skip]
pub const TEMPLATES: &[Template] = &[
    (30, EXACT, "GEOADD $q $pl+"),
    (4, EXACT, "GEOADD $q [NX|XX|CH|XX CH] $pl+"),
    (2, EXACT, "GEOADD $q [NX XX 1 1 a|1 1|CH NX CH|200 1 a|1 86 a|$bad 1 a|1 $bad a|inf 1 a]"),
    (4, EXACT, "GEOPOS $q $pl $pl"),
    (4, EXACT, "GEOHASH $q $pl $pl"),
    (6, EXACT, "GEODIST $q $pl $pl [|m|km|FT|mi]"),
    (1, EXACT, "[GEODIST|GEOPOS|GEOHASH] [$q $pl $pl|$k a b|$q a b foo|$q a b m m]"),
    (12, EXACT, "GEOSEARCH $q FROMLONLAT $at BYRADIUS $rad km [|ASC|DESC|COUNT 3|COUNT 2 ANY|WITHDIST|WITHCOORD WITHDIST WITHHASH ASC|DESC COUNT 5]"),
    (8, EXACT, "GEOSEARCH $q FROMLONLAT $at BYBOX $rad $rad km [|ASC|DESC|COUNT 3|COUNT 2 ANY|WITHDIST|WITHHASH]"),
    (6, EXACT, "GEOSEARCH $q FROMMEMBER $pl BYRADIUS $rad [km|mi|ft|m] [|ASC WITHDIST|COUNT 4 WITHCOORD]"),
    (6, EXACT, "GEORADIUS $q $at $rad km [|ASC|WITHDIST WITHCOORD|COUNT 3 DESC|STORE $z|STORE $z COUNT 2]"),
    (4, EXACT, "GEORADIUSBYMEMBER $q $pl $rad km [|DESC|WITHDIST|STORE $z]"),
    (4, EXACT, "[GEORADIUS_RO|GEORADIUS] $q $at $rad mi [|ASC|WITHHASH]"),
    (4, EXACT, "[GEORADIUSBYMEMBER_RO|GEORADIUSBYMEMBER] $q $pl $rad km [|ASC|COUNT 2 ANY]"),
    (6, EXACT, "GEOSEARCHSTORE $z $q FROMLONLAT $at BYRADIUS $rad km [|COUNT 3|DESC COUNT 2]"),
    // Of the distance 0 only: others do not always print as the real server's (see `write_f64`).
    (3, EXACT, "[GEOSEARCHSTORE $z $q FROMMEMBER $pl BYRADIUS 0 km STOREDIST|GEORADIUSBYMEMBER $q $pl 0 km STOREDIST $z]"),
    (3, EXACT, "GEOSEARCHSTORE $q $q FROMMEMBER $pl BYBOX $rad 900 km [|ASC]"),
    (2, EXACT, "[GEORADIUS|GEORADIUS_RO] $q [$at -1 km|$at $bad m|$at 1 foo|200 1 1 m|$at 1 m COUNT 0|$at 1 m ANY|$at 1 m FOO|$at 1 m WITHDIST STORE a|$at 1 m STORE|$at 1 m COUNT]"),
    (2, EXACT, "GEOSEARCH $q [BYRADIUS 1 km ASC ASC|FROMLONLAT $at ASC ASC|FROMLONLAT $at BYBOX 1 -1 m|FROMLONLAT $at BYBOX $bad 1 m|FROMLONLAT $at BYRADIUS 1 m BYBOX 1 1 m|FROMLONLAT $at FROMMEMBER a BYRADIUS 1 m|FROMMEMBER none BYRADIUS 1 m|FROMLONLAT $at BYRADIUS 1 m STOREDIST]"),
    (1, EXACT, "GEOSEARCHSTORE $z $q FROMLONLAT $at BYRADIUS 1 m [WITHDIST|STORE a|ANY|COUNT $bad]"),
    (1, EXACT, "[GEOADD $k 1 1 a|GEORADIUS $k 1 1 1 m|GEORADIUSBYMEMBER $k a 1 m]"),
];
