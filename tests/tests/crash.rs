//! `kill -9` under load loses nothing; the short form of `make crash`.

use tests::crash::Rig;

#[test]
fn nothing_accepted_is_lost_or_sent_twice_beyond_the_cap_when_the_process_is_killed() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut rig = Rig::new(seed);
    let total = rig.run(10);
    assert!(
        total.violations.is_empty(),
        "seed {seed}: {:#?}",
        total.violations
    );
    assert!(
        total.accepted > 0 && total.delivered > 0,
        "seed {seed}: there was no load: {total}"
    );
}
