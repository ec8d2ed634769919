use super::super::layout::Dimensions;
use super::super::session::tests::{file, hostile, manifest, whole};
use super::*;
use crate::probe::Contents;
use crate::recording::manifest::{File, Kind};
use proptest::prelude::*;

const PICTURE: Picture = Picture { size: Dimensions { width: 640, height: 360 }, rate: 25 };
const FONT: &str = "/fonts/Sans.ttf";

fn session(files: Vec<File>, look: impl Fn(&str) -> Contents) -> Session {
    Session::new(&manifest(files), |name| Ok(look(name)), |_| {})
}

fn plan(session: &Session, layout: Layout) -> Vec<String> {
    let plan = Plan::new(session, Path::new("dir"), layout, PICTURE, Some(Path::new(FONT)));
    let arguments = plan.arguments(Path::new("out.mp4"), false, Report::Text);
    arguments.into_iter().map(|word| word.into_string().unwrap()).collect()
}

/// The steps of the graph.
fn steps(arguments: &[String]) -> Vec<&str> {
    let at = arguments.iter().position(|word| word == "-filter_complex").unwrap();
    arguments[at + 1].split(';').collect()
}

#[test]
fn one_alone() {
    let arguments = plan(&session(vec![file("a.mp4", "Алиса", 0.0, 9.5)], |_| whole(9.5)), Layout::Grid);
    let graph = steps(&arguments).join("\n");
    let graph_at = arguments.iter().position(|word| word == "-filter_complex").unwrap();
    assert_eq!(
        arguments[..graph_at].join(" "),
        "-hide_banner -nostdin -copyts -n -loglevel error -stats \
         -reinit_filter:v 0 -itsoffset 0 -f mov -protocol_whitelist file -i file:dir/a.mp4 \
         -f ffmetadata -protocol_whitelist pipe -i pipe:0"
    );
    assert_eq!(
        arguments[graph_at + 2..].join(" "),
        "-map [picture] -map [sound] -c:a aac -b:a 160k -map_metadata 1 -map_chapters 1 \
         -c:v libx264 -preset veryfast -crf 21 -pix_fmt yuv420p -g 50 -movflags +faststart -f mp4 file:out.mp4"
    );
    let t = "gte(t,0)*lt(t,9.5)";
    assert_eq!(
        graph,
        format!(
            "color=c=0x101114:s=640x360:r=25:d=9.5,format=yuv420p,\
             drawbox=x=0:y=0:w=640:h=360:t=fill:c=0x1e2026:enable='{t}'[canvas]\n\
             [0:v:0]fps=25,scale=eval=frame:w='max(2,trunc(min(640,360*dar)/2)*2)':\
             h='max(2,trunc(min(360,640/dar)/2)*2)'[tile0]\n\
             [canvas][tile0]overlay=eval=frame:x='if({t},320-w/2,W)':y='180-h/2'[onto0]\n\
             [onto0]drawtext=expansion=none:fontcolor=white:fontfile=\\\\\\/fonts\\\\\\/Sans\\\\\\.ttf:text=Алиса:\
             fontsize='min(clip(360/16,12,28),max(6,640*1.4/5))':box=1:boxcolor=black@0.5:boxborderw=6:\
             x='0+12':y='360-th-12':enable='{t}',null[picture]\n\
             [0:a:0]aformat=channel_layouts=stereo,aformat=sample_fmts=fltp,\
             aresample=48000:async=1000:first_pts=0[sound0]\n\
             [sound0]amix=inputs=1:duration=longest:dropout_transition=0:normalize=0,\
             alimiter=limit=0.95:level=disabled:latency=1,apad,atrim=end=9.5[sound]"
        )
    );
}

#[test]
fn late_ones_are_moved_and_the_layout_follows() {
    let files = vec![file("a.mp4", "a", 0.0, 20.0), file("b.webm", "b", 5.0, 15.0)];
    let arguments = plan(&session(files, |_| whole(20.0)), Layout::Grid);
    assert!(
        arguments.join(" ").contains("-itsoffset 5 -f matroska -protocol_whitelist file -i file:dir/b.webm")
    );
    let graph = steps(&arguments);
    assert!(
        graph[2].contains("x='if(gte(t,0)*lt(t,20),(320-162*(gte(t,5)*lt(t,15)))-w/2,W)"),
        "{}",
        graph[2]
    );
    assert!(graph[4].contains("x='if(gte(t,5)*lt(t,15),"), "{}", graph[4]);
}

#[test]
fn what_is_not_in_the_files_is_not_asked_for() {
    let mut screen = file("screen.mp4", "a", 0.0, 20.0);
    screen.kind = Kind::Screen;
    let files = vec![screen, file("talk.m4a", "b", 0.0, 20.0)];
    let look = |name: &str| Contents {
        has_video: name == "screen.mp4",
        channels: (name == "talk.m4a").then_some(1),
        duration: Some(20.0),
    };
    let arguments = plan(&session(files, look), Layout::Stage);
    let graph = steps(&arguments).join("\n");
    assert!(!graph.contains("[1:v:0]") && !graph.contains("[0:a:0]"), "{graph}");
    assert!(graph.contains("[1:a:0]pan=stereo|c0=c0|c1=c0,"), "one channel is as loud as two: {graph}");
    assert!(graph.contains("text=b:fontsize='min(max(14,"), "a card: {graph}");
    assert!(graph.contains("drawbox=x=512:y=0:w=128:h=360"), "beside the stage: {graph}");
    let silent = session(vec![file("a.mp4", "a", 0.0, 9.0)], |_| Contents { channels: None, ..whole(9.0) });
    assert!(!plan(&silent, Layout::Grid).join(" ").contains("[sound]"));
}

#[test]
fn a_restless_session_fits_an_argument() {
    let mut files = Vec::new();
    for index in 0..40_u8 {
        let mut restless = file(&format!("{index}.mp4"), "somebody", 0.0, 3600.0);
        let part = restless.streams.pop().unwrap();
        for visit in 0..50_u16 {
            let start = f64::from(visit) * 72.0 + f64::from(index);
            restless.streams.push(crate::recording::manifest::Part {
                start,
                end: start + 40.0,
                ..part.clone()
            });
        }
        files.push(restless);
    }
    let arguments = plan(&session(files, |_| whole(3600.0)), Layout::Grid);
    let longest = arguments.iter().map(String::len).max().unwrap();
    assert!(longest < 131_072, "{longest}");
}

#[test]
fn a_dry_run_is_for_a_shell() {
    let session = session(vec![file("it's.mp4", "a", 0.0, 1.0)], |_| whole(1.0));
    let plan = Plan::new(&session, Path::new("my dir"), Layout::Grid, PICTURE, None);
    let command = plan.command(Path::new("ffmpeg"), Path::new("-o.mp4"), true);
    assert!(command.starts_with("ffmpeg -hide_banner -nostdin -copyts -y "), "{command}");
    assert!(command.contains(r" -i 'file:my dir/it'\''s.mp4' "), "{command}");
    let (first, rest) = command.split_once('\n').unwrap();
    assert!(first.ends_with(" -f mp4 file:-o.mp4 <<'END_OF_METADATA'"), "{first}");
    assert_eq!(rest, plan.metadata + "END_OF_METADATA\n");
}

proptest! {
    #[test]
    fn whatever_is_written_stays_in_its_argument(manifest in hostile()) {
        let session = Session::new(&manifest, |_| Ok(whole(50.0)), |_| {});
        prop_assume!(!session.sources.is_empty());
        let arguments = plan(&session, Layout::Stage);
        let inputs = arguments.iter().zip(&arguments[1..]).filter(|(word, _)| *word == "-i").map(|(_, input)| input);
        let files = inputs.filter(|input| *input != "pipe:0");
        prop_assert!(files.clone().count() == session.sources.len());
        for input in files {
            let name = input.strip_prefix("file:dir/");
            prop_assert!(name.is_some_and(|name| !name.contains('/')), "{}", input);
        }
        let plan = Plan::new(&session, Path::new("dir"), Layout::Grid, PICTURE, None);
        for line in plan.metadata.lines() {
            let known = line == "[CHAPTER]" || line == ";FFMETADATA1"
                || ["title=", "date=", "creation_time=", "TIMEBASE=", "START=", "END="].iter().any(|key| line.starts_with(key));
            prop_assert!(known, "{}", line);
        }
    }
}
