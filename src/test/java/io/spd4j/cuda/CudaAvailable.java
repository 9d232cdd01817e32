package io.spd4j.cuda;

import static org.junit.jupiter.api.extension.ConditionEvaluationResult.disabled;
import static org.junit.jupiter.api.extension.ConditionEvaluationResult.enabled;
import static org.junit.platform.commons.support.AnnotationSupport.findAnnotation;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.nio.file.Files;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * For tests that need CUDA. They run on a GPU if there is one, and on an emulated GPU in the
 * build's execution cuda-on-host. If the emulation has been built, it must work.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(CudaAvailable.Condition.class)
public @interface CudaAvailable {
  /** Whether the test needs the emulation. */
  boolean onHostOnly() default false;

  /** Decides, and says why. */
  final class Condition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      return findAnnotation(context.getElement(), CudaAvailable.class)
          .map(Condition::evaluate)
          .orElse(enabled("the annotation of the class decides"));
    }

    private static ConditionEvaluationResult evaluate(CudaAvailable needed) {
      if (CudaOnHost.chosen()) {
        if (!Files.exists(CudaOnHost.library())) {
          return disabled(
              CudaOnHost.library() + " is not there: make test builds it with a C++ compiler");
        }
        if (!Cuda.availability().available()) {
          throw new AssertionError(Cuda.availability().reason());
        }
        return enabled("CUDA is emulated on the host");
      }
      if (needed.onHostOnly()) {
        return disabled("only the execution cuda-on-host runs this test");
      }
      return Cuda.availability().available()
          ? enabled(Cuda.availability().reason())
          : disabled(Cuda.availability().reason());
    }
  }
}
