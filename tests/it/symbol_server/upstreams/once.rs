//! What an upstream brings is looked at by one child process, however many steps it takes to the project.

use symdepot::types::UpstreamKind;

use super::{ask, asking, name, stocked};
use crate::support::converter::WatchedConverter;

#[tokio::test]
async fn a_file_of_an_upstream_is_looked_at_once() {
    let (_upstream, url) = stocked(&[super::super::COMPANION]).await;
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = asking().settings(|config| config.converter.program = program).start().await;
    name(&server, UpstreamKind::Debuginfod, &url).await;
    let path = format!("buildid/{}/debuginfo", super::super::BUILD_ID);
    assert_eq!(ask(&server, &path).await.0, 200);
    converter.begun(1).await;
    assert_eq!((converter.detections(), converter.conversions()), (1, 1));
}
