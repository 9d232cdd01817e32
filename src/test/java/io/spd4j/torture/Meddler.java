package io.spd4j.torture;

import io.spd4j.Adam;
import io.spd4j.Parameter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Executor;

/** An executor that runs nothing, but uses the optimizer in the middle of its step. */
final class Meddler implements Executor {
  private interface Call {
    void on(Adam adam, Parameter p) throws Exception;
  }

  private static final List<Call> CALLS =
      List.of(
          (adam, p) -> adam.step(),
          (adam, p) -> adam.step(0.5),
          (adam, p) -> adam.stepClipped(1),
          (adam, p) -> adam.clipAndStep(1),
          (adam, p) -> adam.gradientNorm(),
          (adam, p) -> adam.stepParameter(p),
          (adam, p) -> adam.uploadSettings(),
          (adam, p) -> adam.gatherLow(),
          (adam, p) -> adam.save(Path.of("never-written")),
          (adam, p) -> adam.close(),
          (adam, p) -> p.gradient(null));

  private Adam adam;
  private AssertionError failure;

  void adam(Adam adam) {
    this.adam = adam;
  }

  @Override
  public void execute(Runnable helper) {
    for (Call call : CALLS) {
      String wrong = "nothing";
      try {
        call.on(adam, adam.parameters().getFirst());
      } catch (IllegalStateException e) {
        wrong = e.getMessage().contains("under way") ? null : e.getMessage();
      } catch (Exception e) {
        wrong = e.toString();
      }
      if (wrong != null) {
        failure = new AssertionError("a call in the middle of a step gave " + wrong);
      }
    }
  }

  void verify() {
    if (failure != null) {
      throw failure;
    }
  }
}
