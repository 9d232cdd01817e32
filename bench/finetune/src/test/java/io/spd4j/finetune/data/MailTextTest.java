package io.spd4j.finetune.data;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import java.util.Arrays;
import java.util.Base64;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MailTextTest {
  private static final String PARTS =
      """
      Received: from header
      Content-Type: multipart/mixed; boundary=outer

      preamble
      --outer
      Content-Type: multipart/alternative; boundary="in ner"

      --in ner
      Content-Type: text/html

      <p>marked up</p>
      --in ner
      Content-Type: text/plain; charset=utf-8
      Content-Transfer-Encoding: quoted-printable

      na=C3=AFve =
      text
      --in ner--
      --outer
      Content-Type: text/plain
      Content-Disposition: Attachment; filename=notes.txt

      attached
      --outer
      Content-Type: image/gif
      Content-Transfer-Encoding: base64

      R0lGODlh
      --outer
      Content-Type: text/rfc822-headers

      Received: from elsewhere
      --outer
      Content-Type: text/plain

      footer
      --outer--
      epilogue
      """;

  @Test
  void headersAreNotText() {
    assertThat(text("From a@b.org  Thu Aug 22 12:36:23 2002\nSubject: offer\n\n one\r\n\ttwo \n"))
        .isEqualTo("one two");
    assertThat(text("To: a@b.org\n\nFrom the local paper:\n\nnews\n"))
        .isEqualTo("From the local paper: news");
  }

  @Test
  void partsWithTextAreJoined() {
    assertThat(text(PARTS)).isEqualTo("naïve text footer");
  }

  @Test
  void carriageReturnsChangeNothing() {
    assertThat(text(PARTS.replace("\n", "\r\n"))).isEqualTo(text(PARTS));
  }

  @Test
  void usesHtmlIfPlainTextIsEmpty() {
    assertThat(text(PARTS.replaceFirst("na=C3=AFve =\ntext", "=20"))).isEqualTo("marked up footer");
  }

  @Test
  void aForwardedMailHasHeadersToo() {
    assertThat(
            text(
                """
                Content-Type: message/rfc822

                Subject: inner
                Content-Type: text/html

                <b>forwarded</b>
                """))
        .isEqualTo("forwarded");
  }

  @Test
  void htmlIsReadAsABrowserDoes() {
    assertThat(
            text(
                """
                Content-Type: TEXT/HTML

                <html><head><title>t</title><style>p {}</style><script>f()</script></head>
                <body>via<!-- hidden -->gra<p>caf&eacute;&nbsp;1<br>2<table><td>3<td>4</table></body></html>
                """))
        .isEqualTo("viagra café 1 2 3 4");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"<HTML><B>bold</B></HTML>", "\n<!doctype html>bold", "<font\nsize=1>bold"})
  void htmlNeedsNoHeader(String body) {
    assertThat(text("To: a@b.org\n\n" + body)).isEqualTo("bold");
  }

  @ParameterizedTest
  @ValueSource(strings = {"<http://a.org> link", "<snip> the <html> tag", "<party> x"})
  void notEveryBracketIsHtml(String body) {
    assertThat(text("To: a@b.org\n\n" + body)).isEqualTo(body);
  }

  @ParameterizedTest
  @CsvSource({
    "text/plain; charset=utf-8, UTF-8, “é”",
    "text/plain; charset=\"Big5\", Big5, 中文",
    "text/plain; charset=koi8-r, KOI8-R, привет",
    "text/plain; charset=iso-8859-1, windows-1252, “é”",
    "text/plain; charset=us-ascii, UTF-8, “é”",
    "text/plain; charset=us-ascii, windows-1252, “é”",
    "text/plain; charset=DEFAULT, windows-1252, “é”",
    "text/plain; charset=un known!, UTF-8, “é”",
    "text/plain, windows-1252, “é”",
    "text/html, windows-1252, “é”",
    "text/x-unknown, windows-1252, “é”",
    "TEXT/PLAIN charset=US-ASCII, windows-1252, “é”",
    "nonsense, windows-1252, “é”",
  })
  void charsets(String type, String charset, String expected) throws Exception {
    String encoded = Base64.getEncoder().encodeToString(expected.getBytes(charset));
    String mail = "Content-Type: %s\nContent-Transfer-Encoding: base64\n\n%s\n";

    assertThat(text(mail.formatted(type, encoded))).isEqualTo(expected);
  }

  @Test
  void eightBitsNeedNoEncoding() {
    assertThat(MailText.of("To: a@b.org\n\ncafé".getBytes(ISO_8859_1))).isEqualTo("café");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Content-Type: multipart/mixed",
        "Content-Type: multipart/mixed; boundary=other",
        "Content-Type: multipart/alternative; boundary=\"=Boundary\"",
      })
  void malformedPartsAreReadAsTheyAre(String header) {
    assertThat(text(header + "\nTo: a@b.org\n\n--= Boundary\n\ntext\n\nmore\n"))
        .isEqualTo("--= Boundary text more");
    assertThat(text(header + "\n\n<html>text")).isEqualTo("text");
    assertThat(text(header)).isEmpty();
  }

  @Test
  void malformedMailsDoNotStopTheJob() {
    byte[] mail = PARTS.getBytes(UTF_8);
    for (int length = 0; length < mail.length; length++) {
      byte[] cut = Arrays.copyOf(mail, length);
      assertThatCode(() -> MailText.of(cut)).doesNotThrowAnyException();
    }
  }

  private static String text(String mail) {
    return MailText.of(mail.getBytes(UTF_8));
  }
}
