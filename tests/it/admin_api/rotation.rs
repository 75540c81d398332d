//! A change of the root, looked at and taken a step further.

use super::host;

#[test]
fn without_a_rotation_there_is_no_step_to_take() {
    let (_host, api) = host("");
    let status = api.get("/v1/rotation");
    assert_eq!(status["rotation"], serde_json::Value::Null, "{status}");
    assert!(
        status["next"].as_str().unwrap().contains("rotate prepare"),
        "{status}"
    );
    for step in ["publish", "activate", "undo"] {
        let path = format!("/v1/rotation/{step}");
        assert_eq!(api.refused(404, "POST", &path, "", "{}"), "no-rotation");
    }
    assert_eq!(
        api.refused(400, "POST", "/v1/rotation/retire", "", "{}"),
        "malformed-path"
    );
}
