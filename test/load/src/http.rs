//! As much of HTTP as is spoken here: one request a connection, without a body.

const LONGEST_HEAD: usize = 16 << 10;

/// What was asked for, once the head of the request is complete; an error when it never will be.
pub fn requested(bytes: &[u8]) -> Result<Option<&str>, &'static str> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_HEAD { Err("the request's head is too long") } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "the request is not text")?;
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    match (words.next(), words.next()) {
        (Some("GET"), Some(target)) => Ok(Some(target)),
        _ => Err("only GET is answered"),
    }
}

pub fn request(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

pub fn answer(status: &str, body: &str) -> String {
    let length = body.len() + 1;
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}\n")
}

/// The body of an answer that has come in full: ours end with a line's end.
pub fn answered(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.strip_prefix("HTTP/1.1 200 ")?.split_once("\r\n\r\n")?.1.strip_suffix('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_when_its_head_is_complete() {
        let whole = request("10.244.1.2:8081");
        assert_eq!(requested(whole.as_bytes()), Ok(Some("/")));
        for cut in 0..whole.len() {
            assert_eq!(requested(&whole.as_bytes()[..cut]), Ok(None), "after {cut} bytes");
        }
    }

    #[test]
    fn what_is_no_request_of_ours_is_refused() {
        assert_eq!(requested(b"POST / HTTP/1.1\r\n\r\n"), Err("only GET is answered"));
        assert_eq!(requested(b"GET \xff HTTP/1.1\r\n\r\n"), Err("the request is not text"));
        assert_eq!(requested(&[b'x'; LONGEST_HEAD + 1]), Err("the request's head is too long"));
    }

    #[test]
    fn an_answer_counts_when_all_of_it_has_come() {
        let whole = answer("200 OK", "17");
        assert_eq!(answered(whole.as_bytes()), Some("17"));
        for cut in 0..whole.len() {
            assert_eq!(answered(&whole.as_bytes()[..cut]), None, "after {cut} bytes");
        }
        assert_eq!(answered(answer("400 Bad Request", "17").as_bytes()), None);
    }
}
