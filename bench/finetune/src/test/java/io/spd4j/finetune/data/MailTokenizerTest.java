package io.spd4j.finetune.data;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.safetensors.SafetensorsFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MailTokenizerTest {
  private static final int CLS = 101;
  private static final int SEP = 102;

  private static MailTokenizer tokenizer;

  @BeforeAll
  static void load() throws Failure, IOException {
    tokenizer = new MailTokenizer();
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  @Test
  void idsAreTheReferences() throws IOException {
    Path file =
        Path.of("..", "..", "src", "test", "resources", "reference", "minilm_batch.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile reference = SafetensorsFile.map(file, arena);
      long[] ids = reference.tensor("input_ids").data().toArray(ValueLayout.JAVA_LONG);
      long[] mask = reference.tensor("attention_mask").data().toArray(ValueLayout.JAVA_LONG);
      List<String> texts = strings(reference.metadata().get("texts"));
      int length = ids.length / texts.size();

      assertThat(texts).hasSize(4);
      for (int i = 0; i < texts.size(); i++) {
        int row = i * length;
        int[] expected =
            IntStream.range(row, row + length)
                .filter(k -> mask[k] == 1)
                .map(k -> (int) ids[k])
                .toArray();
        assertThat(tokenizer.encode(texts.get(i), length)).isEqualTo(expected);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 32, 129, 512})
  void keepsTheFirstTokens(int maxTokens) {
    int[] tokens = tokenizer.encode("spam ham ".repeat(10_000), maxTokens);
    int[] words = tokenizer.encode("spam ham ".repeat(200), MailTokenizer.MAX_TOKENS);

    assertThat(tokens).hasSize(maxTokens).startsWith(CLS).endsWith(SEP);
    int shared = Math.min(maxTokens, words.length) - 1;
    assertThat(Arrays.copyOf(tokens, shared)).isEqualTo(Arrays.copyOf(words, shared));
  }

  @Test
  void doesNotPad() {
    assertThat(tokenizer.encode("", 512)).containsExactly(CLS, SEP);
    assertThat(tokenizer.encode("hi", 512)).hasSize(3);
  }

  @Test
  void takesAnyText() {
    String text = "\0 \ud800 \uffff \ud83d\ude00 中文 " + "x".repeat(100_000);

    assertThat(tokenizer.encode(text, 64)).startsWith(CLS).endsWith(SEP);
  }

  @Test
  void examplesFollowTheMails() {
    List<Mail> mails =
        IntStream.range(0, 1000)
            .mapToObj(i -> new Mail(MailCollection.values()[i % 5], "" + i, "mail number " + i))
            .toList();
    List<Example> examples = tokenizer.encode(mails, 8);

    assertThat(examples).hasSameSizeAs(mails);
    for (int i = 0; i < mails.size(); i++) {
      assertThat(examples.get(i).tokens()).isEqualTo(tokenizer.encode("mail number " + i, 8));
      assertThat(examples.get(i).label()).isEqualTo(i % 5 == 1 || i % 5 == 3 ? 1 : 0);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 0, 1, 513})
  void refusesOtherLengths(int maxTokens) {
    assertThatThrownBy(() -> tokenizer.encode("hi", maxTokens))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("" + maxTokens);
  }

  /** Needs another JVM, because a JVM loads the native library only once. */
  @Test
  void saysWhereTheNativeLibraryShouldBe(@TempDir Path folder) throws Exception {
    Path file = Files.createFile(folder.resolve("file"));
    ProcessBuilder java =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Loading.class.getName())
            .redirectError(ProcessBuilder.Redirect.DISCARD);
    java.environment().putAll(Map.of("ENGINE_CACHE_DIR", "", "DJL_CACHE_DIR", file.toString()));
    Process child = java.start();

    assertThat(new String(child.getInputStream().readAllBytes(), UTF_8))
        .contains("native library cannot be loaded from " + file)
        .contains("DJL_CACHE_DIR");
    assertThat(child.waitFor()).isZero();
  }

  /** Prints why the tokenizer cannot be loaded. */
  static final class Loading {
    public static void main(String[] args) throws IOException {
      try (MailTokenizer loaded = new MailTokenizer()) {
        System.out.println(loaded);
      } catch (Failure e) {
        System.out.println(e.getMessage());
      }
    }
  }

  private static List<String> strings(String json) throws IOException {
    List<String> strings = new ArrayList<>();
    try (JsonParser parser = new JsonFactory().createParser(json)) {
      for (JsonToken token; (token = parser.nextToken()) != null; ) {
        if (token == JsonToken.VALUE_STRING) {
          strings.add(parser.getText());
        }
      }
    }
    return strings;
  }
}
