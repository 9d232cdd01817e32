package io.spd4j.finetune.data;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.james.mime4j.dom.Entity;
import org.apache.james.mime4j.dom.Message;
import org.apache.james.mime4j.dom.Multipart;
import org.apache.james.mime4j.dom.SingleBody;
import org.apache.james.mime4j.message.DefaultMessageBuilder;
import org.apache.james.mime4j.stream.MimeConfig;
import org.jsoup.Jsoup;

/**
 * Extracts the text that the reader of a mail sees below its headers. The headers are dropped
 * because they give away the collection, and so the label.
 */
final class MailText {
  private static final Charset WINDOWS_1252 = Charset.forName("windows-1252");
  private static final Pattern EMPTY_LINE = Pattern.compile("\r?\n\r?\n");
  private static final Pattern WHITE_SPACE = Pattern.compile("(?U)\\s+");

  /** The start of HTML: some mails of the corpus have lost the header that declares it. */
  private static final Pattern HTML =
      Pattern.compile("(?i)\\s*<(!doctype|x-html|html|head|body|meta|font|table|div|p)[\\s>]");

  private MailText() {}

  /** Returns all text of a mail, with single spaces between words; empty if there is none. */
  static String of(byte[] mail) {
    String text;
    try {
      DefaultMessageBuilder builder = new DefaultMessageBuilder();
      builder.setMimeEntityConfig(MimeConfig.PERMISSIVE);
      text = text(builder.parseMessage(new ByteArrayInputStream(mail)));
    } catch (IOException | RuntimeException malformed) {
      // One malformed mail must not stop the job.
      String[] parts = EMPTY_LINE.split(decode(mail, US_ASCII), 2);
      text = parts.length == 2 ? plain(parts[1]) : "";
    }
    return WHITE_SPACE.matcher(text).replaceAll(" ").strip();
  }

  private static String text(Entity entity) throws IOException {
    return switch (entity.getBody()) {
      case Message message -> text(message);
      case Multipart multipart -> text(multipart);
      case SingleBody body -> text(entity, body);
      case null, default -> "";
    };
  }

  private static String text(Multipart multipart) throws IOException {
    List<Entity> parts = multipart.getBodyParts();
    if (parts.isEmpty()) {
      throw new IOException("the mail has no part at the boundary that its header declares");
    }
    if (multipart.getSubType().equals("alternative")) {
      return best(parts);
    }
    StringBuilder all = new StringBuilder();
    for (Entity part : parts) {
      all.append(text(part)).append('\n');
    }
    return all.toString();
  }

  /** Returns the plain-text version if it has any text, otherwise the first version that has. */
  private static String best(List<Entity> versions) throws IOException {
    List<Entity> plainFirst = new ArrayList<>(versions);
    plainFirst.sort(Comparator.comparing(part -> !part.getMimeType().equals("text/plain")));
    for (Entity version : plainFirst) {
      String text = text(version);
      if (!text.isBlank()) {
        return text;
      }
    }
    return "";
  }

  /** Treats unknown kinds of text as plain text (RFC 2046, 4.1.4), except for headers. */
  private static String text(Entity entity, SingleBody body) throws IOException {
    String type = entity.getMimeType();
    if (!type.startsWith("text/")
        || type.equals("text/rfc822-headers")
        || "attachment".equalsIgnoreCase(entity.getDispositionType())) {
      return "";
    }
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    body.writeTo(content);
    String text = decode(content.toByteArray(), charset(entity.getCharset()));
    return type.startsWith("text/html") ? html(text) : plain(text);
  }

  private static String plain(String text) {
    return HTML.matcher(text).lookingAt() ? html(text) : text;
  }

  /**
   * Returns the text without the title, which a mail reader does not show, and without scripts and
   * styles.
   */
  private static String html(String text) {
    return Jsoup.parse(text).body().text();
  }

  /**
   * Returns the mail's charset, or US-ASCII if unknown, which {@link #decode} treats as a guess.
   */
  private static Charset charset(String name) {
    try {
      return Charset.forName(name);
    } catch (IllegalArgumentException unknown) {
      return US_ASCII;
    }
  }

  /** Decodes text. Many mails declare US-ASCII, Latin-1 or nothing but contain something else. */
  private static String decode(byte[] bytes, Charset charset) {
    if (!charset.equals(US_ASCII) && !charset.equals(ISO_8859_1)) {
      return new String(bytes, charset);
    }
    try {
      return UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      return new String(bytes, WINDOWS_1252);
    }
  }
}
