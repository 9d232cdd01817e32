package io.spd4j;

import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.random;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A step that changes nothing, because there is no gradient at all, does not pass in silence. */
class NoGradientWarningTest {
  private static final String WARNING =
      "WARNING: a step changed nothing: no parameter has a gradient, such as p";
  private static final String NO_PARAMETERS =
      "WARNING: a step changed nothing: the optimizer has no parameters yet";

  private final Logger logger = Logger.getLogger("io.spd4j");
  private final List<String> logged = new ArrayList<>();
  private final Handler handler =
      new Handler() {
        @Override
        public void publish(LogRecord entry) {
          logged.add(entry.getLevel() + ": " + entry.getMessage());
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  @AutoClose private final Arena arena = Arena.ofShared();

  @BeforeEach
  void listen() {
    logger.addHandler(handler);
    logger.setUseParentHandlers(false);
  }

  @AfterEach
  void stopListening() {
    logger.removeHandler(handler);
    logger.setUseParentHandlers(true);
  }

  private Parameter withoutGradient(String name) {
    return Parameter.builder(name, random(arena, 1, 10)).build();
  }

  private static Adam adam(Parameter... parameters) {
    return Adam.builder().group(0.1, new L2SP(1), List.of(parameters)).build();
  }

  @Test
  void isLoggedOnceByEachKindOfStep() {
    List<Consumer<Adam>> steps =
        List.of(Adam::step, adam -> adam.stepClipped(1), adam -> adam.clipAndStep(1));
    for (Consumer<Adam> step : steps) {
      try (Adam adam = adam(withoutGradient("p"), withoutGradient("q"))) {
        assertThat(logged).isEmpty();
        step.accept(adam);
        step.accept(adam);
        adam.step();
        assertThat(logged).containsExactly(WARNING);
        logged.clear();
      }
    }
  }

  @Test
  void saysThatThereAreNoParametersYet() {
    try (Adam adam = adam()) {
      adam.step();
      assertThat(logged).containsExactly(NO_PARAMETERS);
    }
  }

  @Test
  void isNotLoggedIfAParameterHasAGradient() {
    Parameter p = parameter(arena, "p", 1, 10);
    Parameter q = withoutGradient("q");
    try (Adam adam = adam(withoutGradient("none"), p)) {
      adam.step();
      adam.stepParameter(adam.parameters().getFirst());
      adam.addParameter(adam.groups().getFirst(), q);
      q.gradient(p.gradient());
      q.gradient(p.gradient());
      p.gradient(null);
      p.gradient(null);
      adam.step();
      adam.groups().getFirst().frozen(true);
      adam.step();
      assertThat(logged).isEmpty();
      assertThat(q.step()).isEqualTo(1);
      q.gradient(null);
      adam.step();
      assertThat(logged).containsExactly(WARNING.replace("such as p", "such as none"));
    }
  }

  @Test
  void aParameterThatJoinsWithAGradientCounts() {
    try (Adam adam = adam()) {
      adam.addParameter(adam.groups().getFirst(), parameter(arena, "p", 1, 10));
      adam.step();
      assertThat(logged).isEmpty();
    }
  }
}
