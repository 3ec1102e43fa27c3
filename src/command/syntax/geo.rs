//! Arguments of the commands for geospatial indexes.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    (
        "geoadd",
        "key [condition(NX | XX)@6.2.0] [CH=change:token@6.2.0] data{longitude:double \
         latitude:double member}...",
    ),
    ("geodist", "key member1 member2 [unit(M | KM | FT | MI)]"),
    ("geohash", "key [member...]"),
    ("geopos", "key [member...]"),
    (
        "georadius",
        "key longitude:double latitude:double radius:double unit(M | KM | FT | MI) \
         [WITHCOORD] [WITHDIST] [WITHHASH] [count-block{COUNT=count:integer [ANY@6.2.0]}] \
         [order(ASC | DESC)] [store(STORE=storekey\"key\":key1 | \
         STOREDIST=storedistkey\"key\":key2)]",
    ),
    (
        "georadius_ro",
        "key longitude:double latitude:double radius:double unit(M | KM | FT | MI) \
         [WITHCOORD] [WITHDIST] [WITHHASH] [count-block{COUNT=count:integer [ANY@6.2.0]}] \
         [order(ASC | DESC)]",
    ),
    (
        "georadiusbymember",
        "key member radius:double unit(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
         [count-block{COUNT=count:integer [ANY]}] [order(ASC | DESC)] \
         [store(STORE=storekey\"key\":key1 | STOREDIST=storedistkey\"key\":key2)]",
    ),
    (
        "georadiusbymember_ro",
        "key member radius:double unit(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
         [count-block{COUNT=count:integer [ANY]}] [order(ASC | DESC)]",
    ),
    (
        "geosearch",
        "key from(FROMMEMBER=member | FROMLONLAT=fromlonlat{longitude:double \
         latitude:double}) by(circle{BYRADIUS=radius:double unit(M | KM | FT | MI)} | \
         box{BYBOX=width:double height:double unit(M | KM | FT | MI)}) [order(ASC | DESC)] \
         [count-block{COUNT=count:integer [ANY]}] [WITHCOORD] [WITHDIST] [WITHHASH]",
    ),
    (
        "geosearchstore",
        "destination:key source:key1 from(FROMMEMBER=member | \
         FROMLONLAT=fromlonlat{longitude:double latitude:double}) \
         by(circle{BYRADIUS=radius:double unit(M | KM | FT | MI)} | box{BYBOX=width:double \
         height:double unit(M | KM | FT | MI)}) [order(ASC | DESC)] \
         [count-block{COUNT=count:integer [ANY]}] [STOREDIST]",
    ),
];
