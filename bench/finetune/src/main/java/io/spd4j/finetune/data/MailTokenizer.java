package io.spd4j.finetune.data;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.util.Utils;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.spd4j.finetune.cli.Failure;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** The WordPiece tokenizer of all-MiniLM-L6-v2. Thread-safe. */
public final class MailTokenizer implements AutoCloseable {
  /** The model's number of positions. */
  public static final int MAX_TOKENS = 512;

  static {
    // Stops DJL from reporting its use to a cloud and, with a GPU, from downloading another
    // library.
    System.setProperty("ai.djl.offline", "true");
  }

  private final HuggingFaceTokenizer tokenizer;

  /**
   * Loads the tokenizer from the class path.
   *
   * @throws Failure if its native library cannot be unpacked or loaded
   */
  public MailTokenizer() throws Failure, IOException {
    // The file asks for 128 tokens, padded.
    Map<String, String> options =
        Map.of("padding", "false", "truncation", "true", "maxLength", "" + MAX_TOKENS);
    try (InputStream json = resource()) {
      tokenizer = HuggingFaceTokenizer.newInstance(json, options);
    } catch (EngineException | LinkageError e) {
      throw Failure.ofInput(
          ("the tokenizer's native library cannot be loaded from %s (%s): set DJL_CACHE_DIR to a"
                  + " folder that can be written to and allows execution")
              .formatted(Utils.getEngineCacheDir("tokenizers"), e.getMessage()));
    }
  }

  private static InputStream resource() {
    return MailTokenizer.class.getResourceAsStream("/all-minilm-l6-v2-tokenizer.json");
  }

  /**
   * Returns the tokenizer in the format of HuggingFace's tokenizer.json. It cuts texts as {@link
   * #encode(String, int)} does, and pads only to the longest text of a batch.
   */
  public static byte[] json(int maxTokens) throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    try (InputStream json = resource()) {
      JsonNode root = mapper.readTree(json);
      ((ObjectNode) root.get("truncation")).put("max_length", maxTokens);
      ((ObjectNode) root.get("padding")).put("strategy", "BatchLongest");
      return mapper.writerWithDefaultPrettyPrinter().writeValueAsBytes(root);
    }
  }

  /**
   * Encodes mails on all processors.
   *
   * @param maxTokens see {@link #encode(String, int)}
   * @return one example for each mail, in the mails' order
   */
  public List<Example> encode(List<Mail> mails, int maxTokens) {
    return mails.parallelStream()
        .map(mail -> new Example(encode(mail.text(), maxTokens), mail.label()))
        .toList();
  }

  /**
   * Returns the ids of a text's first tokens, between {@code [CLS]} and {@code [SEP]}.
   *
   * @param maxTokens the largest number of ids, including these two; 2 to {@link #MAX_TOKENS}
   * @throws IllegalArgumentException if the number is not in its range
   */
  public int[] encode(String text, int maxTokens) {
    if (maxTokens < 2 || maxTokens > MAX_TOKENS) {
      throw new IllegalArgumentException(
          "the number of tokens must be 2 to " + MAX_TOKENS + ", not " + maxTokens);
    }
    long[] ids = tokenizer.encode(text).getIds();
    int[] tokens = Arrays.stream(ids).limit(maxTokens).mapToInt(Math::toIntExact).toArray();
    tokens[tokens.length - 1] = (int) ids[ids.length - 1]; // [SEP]
    return tokens;
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
