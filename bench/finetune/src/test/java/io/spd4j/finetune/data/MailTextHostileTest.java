package io.spd4j.finetune.data;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.finetune.HostileFiles;
import org.junit.jupiter.api.Test;

public class MailTextHostileTest {
  private static final String MAIL =
      """
      Subject: =?ISO-8859-1?Q?caf=E9?=
      Content-Type: multipart/alternative; boundary="b"

      --b
      Content-Type: text/plain; charset=utf-8
      Content-Transfer-Encoding: base64

      SGVsbG8sIHdvcmxkLCBvbmNlIG1vcmU=
      --b
      Content-Type: text/html; charset="koi8-r"
      Content-Transfer-Encoding: quoted-printable

      <p>Hello, =3D world &amp; &#233;</p>
      --b--
      """;

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] mail) {
    MailText.of(mail);
  }

  @Test
  void anyMailIsRead() throws Exception {
    HostileFiles.feed(
        MailTextHostileTest.class, MAIL.getBytes(UTF_8), MailTextHostileTest::fuzzerTestOneInput);
  }
}
