/**
 * What a trainer of one's own needs around the optimizer: the operations of a transformer, forward
 * and backward, over off-heap float32 arrays, run by oneDNN.
 *
 * <p>{@link io.spd4j.onednn.OneDnn} is opened by the thread that uses it and hands out operations,
 * one for each shape, which it keeps: {@link io.spd4j.onednn.Linear}, {@link
 * io.spd4j.onednn.MatMul}, {@link io.spd4j.onednn.LayerNorm}, {@link io.spd4j.onednn.Softmax},
 * {@link io.spd4j.onednn.Gelu}, {@link io.spd4j.onednn.Reduction} and {@link
 * io.spd4j.onednn.Conversion}. Calls allocate nothing on the Java heap and check every segment
 * before anything is written: it must be off-heap, alive, aligned to its elements and at least as
 * long as the shape asks for (longer ones are fine, so that buffers can serve several shapes); what
 * is written must not be read-only and must not overlap another argument, except where a method
 * says that it may be the same. Faults of the arguments are {@link IllegalArgumentException}s that
 * name the operation, its shape and the argument ({@link NullPointerException} for null, {@link
 * WrongThreadException} for a confined arena of another thread); what oneDNN itself refuses is an
 * {@link io.spd4j.onednn.OneDnnException}. An arena cannot be closed while a call uses it; closed
 * by another thread just before, it makes the call throw {@link IllegalStateException}.
 *
 * <p>The same call on the same machine with the same number of threads gives the same bits; other
 * machines and other thread counts may round differently, unlike the optimizer.
 *
 * <p>Between calls oneDNN's OpenMP threads wait in a loop before they go to sleep, with GNU's
 * runtime for milliseconds, and whatever runs meanwhile, such as an optimizer step, has to share
 * the processors with them: start java with {@code GOMP_SPINCOUNT=10000} in its environment.
 *
 * <p>Each run of an operation is an event of JDK Flight Recorder, {@code
 * io.spd4j.onednn.Operation}: what was computed with its shapes ({@code operation}), which of
 * oneDNN's implementations ran ({@code implementation}), and the multiplications and additions of a
 * matrix product ({@code flops}), with start and duration. {@code java
 * -XX:StartFlightRecording:filename=trainer.jfr} writes them, {@code jfr print --events
 * io.spd4j.onednn.Operation trainer.jfr} shows them. With the event's setting {@code
 * stackTrace=true} they tell which line of the trainer asked, too.
 *
 * <p>libdnnl is needed at run time only: {@link io.spd4j.onednn.OneDnn#availability} tells.
 */
package io.spd4j.onednn;
