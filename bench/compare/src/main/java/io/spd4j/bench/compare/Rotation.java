package io.spd4j.bench.compare;

import io.spd4j.finetune.report.Statistics;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Times the steps of several competitors in turn, so that other activity on the machine affects all
 * of them. Each competitor has one turn in a round; the next round reverses the order. The first
 * step of a turn finds other data in the caches and sleeping helper threads, so it is not counted,
 * unless it is the whole turn.
 */
final class Rotation {
  /** Takes steps and returns the nanoseconds of each. */
  interface Steps {
    long[] take(int count) throws UnableException;
  }

  private static final int MAX_STEPS = 10_000;

  /** The measurements of one competitor. */
  static final class Lane {
    private final Steps steps;
    private final List<Double> rounds = new ArrayList<>();
    private int stepsPerRound;
    private String problem;

    Lane(Steps steps) {
      this.steps = steps;
    }

    /** Returns the median nanoseconds of a step in each round. */
    double[] rounds() {
      return rounds.stream().mapToDouble(Double::doubleValue).toArray();
    }

    int stepsPerRound() {
      return stepsPerRound;
    }

    /** Returns why there are no times; null if there are. */
    String problem() {
      return problem;
    }

    /**
     * Doubles the number of steps until they take long enough, then sets the number of steps per
     * round.
     */
    private void warmUp(Pace pace) {
      attempt(() -> {
        double total = 0;
        for (int count = 1; ; count = Math.min(2 * count, MAX_STEPS)) {
          double[] nanos = doubles(steps.take(count));
          total += Arrays.stream(nanos).sum();
          if (total >= 1e9 * pace.warmUpSeconds()) {
            double fit = 1e9 * pace.turnSeconds() / Statistics.median(nanos);
            stepsPerRound = (int) Math.clamp(fit, 1, MAX_STEPS);
            return;
          }
        }
      });
    }

    private void turn() {
      attempt(() -> {
        int uncounted = stepsPerRound > 1 ? 1 : 0;
        double[] nanos = doubles(steps.take(uncounted + stepsPerRound));
        rounds.add(Statistics.median(Arrays.copyOfRange(nanos, uncounted, nanos.length)));
      });
    }

    private interface Attempt {
      void run() throws UnableException;
    }

    /**
     * A failure removes the competitor with all its rounds, which would no longer match the
     * others'.
     */
    private void attempt(Attempt attempt) {
      try {
        attempt.run();
      } catch (UnableException e) {
        problem = e.getMessage();
        rounds.clear();
      }
    }

    private static double[] doubles(long[] nanos) {
      return Arrays.stream(nanos).asDoubleStream().toArray();
    }
  }

  private Rotation() {}

  /** Warms up all competitors and runs the rounds. */
  static void run(List<Lane> lanes, Pace pace) {
    lanes.forEach(lane -> lane.warmUp(pace));
    List<Lane> order = new ArrayList<>(lanes);
    long begin = System.nanoTime();
    for (int round = 0; round < pace.rounds(); round++) {
      boolean late = System.nanoTime() - begin > 1e9 * pace.caseSeconds();
      if (late && round >= Pace.MIN_ROUNDS) {
        return;
      }
      for (Lane lane : order) {
        if (lane.problem == null) {
          lane.turn();
        }
      }
      Collections.reverse(order);
    }
  }
}
