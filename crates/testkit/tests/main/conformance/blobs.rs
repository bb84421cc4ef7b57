//! Blobs.

use model::{
    Answer, BlobAnswer, BlobCommand, BlobId, BlobInfo, BlobQuery, Command, Content, Error, Id,
    Page, Query, Reply, Result, limits,
};
use testkit::World;

cases![
    content_comes_in_parts_and_is_named_by_its_hash,
    the_same_content_is_one_blob,
    parts_come_in_order_and_whole,
    what_is_given_up_is_gone,
    blobs_are_listed_by_id_and_of_their_namespace,
];

fn one(w: &World, command: BlobCommand) -> Result<Reply> {
    let committed = w.write([Command::from(command)])?;
    let [reply] = <[Reply; 1]>::try_from(committed.replies).expect("one reply");
    Ok(reply)
}

fn begin(w: &World) -> Id {
    match one(w, BlobCommand::Begin { kind: "text/plain".to_owned() }) {
        Ok(Reply::Id(upload)) => upload,
        other => panic!("begin answers {other:?}"),
    }
}

fn part(w: &World, upload: Id, at: u64, content: &[u8]) -> Result<Reply> {
    one(w, BlobCommand::Part { upload, at, content: Content(content.to_vec()) })
}

fn finish(w: &World, upload: Id) -> BlobInfo {
    match one(w, BlobCommand::Finish { upload }) {
        Ok(Reply::Blob(info)) => info,
        other => panic!("finish answers {other:?}"),
    }
}

fn put(w: &World, content: &[u8]) -> BlobInfo {
    let upload = begin(w);
    part(w, upload, 0, content).expect("a part");
    finish(w, upload)
}

fn ask(w: &World, query: BlobQuery) -> Result<BlobAnswer> {
    match w.ask(Query::Blobs(w.namespace().clone(), query))? {
        Answer::Blobs(answer) => Ok(answer),
        other => panic!("asking about blobs answers {other:?}"),
    }
}

fn content(w: &World, id: BlobId, seq: u64) -> Result<Vec<u8>> {
    match ask(w, BlobQuery::Part(id, seq))? {
        BlobAnswer::Part(Content(content)) => Ok(content),
        other => panic!("asking for a part answers {other:?}"),
    }
}

fn ids(w: &World, page: Page<BlobId>) -> Vec<BlobId> {
    match ask(w, BlobQuery::Blobs(page)) {
        Ok(BlobAnswer::Blobs(blobs)) => blobs.iter().map(|blob| blob.id).collect(),
        other => panic!("asking for a list answers {other:?}"),
    }
}

fn content_comes_in_parts_and_is_named_by_its_hash(w: &World) {
    let size = usize::try_from(limits::BLOB_PART_BYTES).unwrap();
    let whole: Vec<u8> = (0..size + 3).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let upload = begin(w);
    part(w, upload, 0, &whole[..size]).unwrap();
    assert_eq!(ids(w, Page::default()), [], "it is no blob before it is finished");
    part(w, upload, size as u64, &whole[size..]).unwrap();
    let info = finish(w, upload);
    assert_eq!((info.id, info.bytes), (BlobId::of(&whole), whole.len() as u64));
    assert_eq!((info.kind.as_str(), info.created), ("text/plain", w.now()));
    assert_eq!(content(w, info.id, 0).unwrap(), &whole[..size]);
    assert_eq!(content(w, info.id, 1).unwrap(), &whole[size..]);
    assert!(matches!(content(w, info.id, 2), Err(Error::BadInput(_))));
    // There is such a thing as nothing.
    let upload = begin(w);
    assert_eq!(finish(w, upload).id, BlobId::of(b""));
}

fn the_same_content_is_one_blob(w: &World) {
    let (first, second) = (put(w, b"same"), put(w, b"same"));
    assert_eq!(first, second);
    assert_eq!(ids(w, Page::default()), [first.id]);
    assert_eq!(content(w, first.id, 0).unwrap(), b"same");
}

fn parts_come_in_order_and_whole(w: &World) {
    let upload = begin(w);
    assert!(part(w, upload, 1, b"x").is_err());
    assert!(part(w, upload, 0, b"").is_err());
    let long = vec![0; usize::try_from(limits::BLOB_PART_BYTES).unwrap() + 1];
    assert!(matches!(part(w, upload, 0, &long), Err(Error::TooLarge { .. })));
    part(w, upload, 0, b"short").unwrap();
    assert!(part(w, upload, 5, b"more").is_err(), "only the last one is short");
    assert!(part(w, upload + 99, 0, b"x").is_err());
    finish(w, upload);
    assert!(part(w, upload, 5, b"x").is_err());
    assert!(one(w, BlobCommand::Finish { upload }).is_err());
    for kind in ["", "text/\u{e9}", "a\nb", &"x".repeat(256)] {
        assert!(one(w, BlobCommand::Begin { kind: kind.to_owned() }).is_err(), "{kind:?}");
    }
}

fn what_is_given_up_is_gone(w: &World) {
    let upload = begin(w);
    part(w, upload, 0, b"content").unwrap();
    assert_eq!(one(w, BlobCommand::Abandon { upload }), Ok(Reply::Done));
    assert!(one(w, BlobCommand::Finish { upload }).is_err());
    let none = BlobId::of(b"content");
    assert!(matches!(ask(w, BlobQuery::Blob(none)), Err(Error::NoSuchBlob(_))));
}

fn blobs_are_listed_by_id_and_of_their_namespace(w: &World) {
    let mut all: Vec<BlobId> = (0..5_u8).map(|number| put(w, &[number]).id).collect();
    all.sort_unstable();
    assert_eq!(ids(w, Page::default()), all);
    assert_eq!(ids(w, Page { after: None, limit: 2 }), all[..2]);
    assert_eq!(ids(w, Page { after: Some(all[1]), limit: 2 }), all[2..4]);
    let other = w.in_namespace("other");
    other.create();
    assert_eq!(ids(&other, Page::default()), []);
    assert!(matches!(content(&other, all[0], 0), Err(Error::NoSuchBlob(_))));
}
