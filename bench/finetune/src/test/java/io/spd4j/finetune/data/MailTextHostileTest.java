package io.spd4j.finetune.data;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.finetune.HostileBytes;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class MailTextHostileTest {
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

  @Test
  void aChangedMailIsRead() throws IOException {
    HostileBytes.feed(MailTextHostileTest.class, MAIL.getBytes(UTF_8), MailText::of);
  }
}
