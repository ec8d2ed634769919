use super::*;

#[test]
fn a_text_of_somebody_else_has_no_meaning_in_the_graph() {
    assert_eq!(escape("Алиса 😀"), "Алиса\\\\\\ 😀");
    assert_eq!(escape("a'b"), "a\\\\\\'b");
    // As the graph reads it, and then the filter.
    let read = |text: &str| {
        let (mut letters, mut read) = (text.chars(), String::new());
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => read.extend(letters.next()),
                '\'' | ':' | ',' | ';' | '[' | ']' | ' ' => panic!("{letter} has a meaning in {text}"),
                letter => read.push(letter),
            }
        }
        read
    };
    for text in ["", "a:b=c,d;e[f]'g'\\h\\", "%{localtime}", "  x  ", "'\"\\'\\\\"] {
        assert_eq!(read(&read(&escape(text))), text);
    }
}

#[test]
fn numbers_that_are_the_same_again_are_one_term() {
    let tile = |x| Rectangle { x, y: 0, width: 640, height: 360 };
    let places = [
        Place { span: Span::new(0.0, 10.0), tile: tile(0) },
        Place { span: Span::new(10.0, 20.5), tile: tile(320) },
        Place { span: Span::new(20.5, 30.0), tile: tile(0) },
    ];
    assert_eq!(sum(&places, |tile| tile.width), "640");
    assert_eq!(sum(&places, |tile| tile.x), "(0+320*(gte(t,10)*lt(t,20.5)))");
    assert_eq!(sum(&[], |tile| tile.x), "0");
}
