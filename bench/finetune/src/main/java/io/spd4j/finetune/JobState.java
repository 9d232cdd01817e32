package io.spd4j.finetune;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.deser.std.StdDelegatingDeserializer;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdDelegatingSerializer;
import com.fasterxml.jackson.databind.util.StdConverter;
import io.spd4j.finetune.report.Run;
import java.io.IOException;
import java.util.BitSet;
import java.util.List;
import java.util.Map;

/**
 * How far a job has come. In JSON, numbers keep all their bits, NaN and infinity included.
 *
 * @param options what determines the results, by the options' names
 * @param finished the first runs, in the job's order
 * @param current the next run; null if it has not begun
 */
record JobState(Map<String, String> options, List<Run> finished, Trainer.State current) {
  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .addModule(
              new SimpleModule()
                  .addSerializer(BitSet.class, new StdDelegatingSerializer(new ToWords()))
                  .addDeserializer(BitSet.class, new StdDelegatingDeserializer<>(new FromWords())))
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES) // Score.accuracy
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private static final class ToWords extends StdConverter<BitSet, long[]> {
    @Override
    public long[] convert(BitSet bits) {
      return bits.toLongArray();
    }
  }

  private static final class FromWords extends StdConverter<long[], BitSet> {
    @Override
    public BitSet convert(long[] words) {
      return BitSet.valueOf(words);
    }
  }

  byte[] toJson() throws IOException {
    return MAPPER.writeValueAsBytes(this);
  }

  /**
   * Reads what {@link #toJson} wrote.
   *
   * @throws IOException if it is something else
   */
  static JobState parse(byte[] json) throws IOException {
    JobState state = MAPPER.readValue(json, JobState.class);
    if (state == null) {
      throw new IOException("the state of the job is null");
    }
    return state;
  }
}
