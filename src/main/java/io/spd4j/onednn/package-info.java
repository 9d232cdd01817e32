/**
 * A transformer's operations, forward and backward, over off-heap float32 arrays, run by oneDNN:
 * what a Java trainer needs besides the optimizer. Matrix products can also read bfloat16.
 *
 * <p>A {@link io.spd4j.onednn.OneDnn} is opened by the thread that uses it. It makes and keeps an
 * operation for each shape: {@link io.spd4j.onednn.Linear}, {@link io.spd4j.onednn.MatMul}, {@link
 * io.spd4j.onednn.LayerNorm}, {@link io.spd4j.onednn.Softmax}, {@link io.spd4j.onednn.Gelu}, {@link
 * io.spd4j.onednn.Reduction} and {@link io.spd4j.onednn.Conversion}. Calls allocate nothing on the
 * Java heap. They check every segment before anything is written: it must be off-heap, alive,
 * aligned to its elements and at least as long as the shape requires (it may be longer, so one
 * buffer can serve several shapes). A segment that is written must not be read-only and must not
 * overlap another argument, unless a method says that the two may be the same. Invalid arguments
 * throw an {@link IllegalArgumentException} that names the operation, its shape and the argument
 * ({@link NullPointerException} for null, {@link WrongThreadException} for a confined arena of
 * another thread). What oneDNN itself refuses throws an {@link io.spd4j.onednn.OneDnnException}. An
 * arena cannot be closed while a call uses it. If another thread closes it just before, the call
 * throws {@link IllegalStateException}.
 *
 * <p>A {@link io.spd4j.onednn.MathMode} other than the default multiplies matrices in bfloat16 and
 * is much faster where the processor has instructions for it. Everything else stays float32.
 *
 * <p>The same call on the same machine with the same number of threads gives the same bits. Other
 * machines and other thread counts may round differently; the optimizer does not.
 *
 * <p>Between calls oneDNN's OpenMP threads wait in a loop before they go to sleep, with GNU's
 * runtime for milliseconds. Other work, such as an optimizer step, then shares the processors with
 * them. To avoid this, start java with {@code GOMP_SPINCOUNT=10000} in its environment.
 *
 * <p>Each run of an operation is an event of JDK Flight Recorder, {@code
 * io.spd4j.onednn.Operation}, with start and duration. The event holds the operation and its shapes
 * ({@code operation}), which of oneDNN's implementations ran ({@code implementation}), and the
 * number of multiplications and additions of a matrix product ({@code flops}). {@code java
 * -XX:StartFlightRecording:filename=trainer.jfr} writes them, {@code jfr print --events
 * io.spd4j.onednn.Operation trainer.jfr} shows them. With the event's setting {@code
 * stackTrace=true} they also tell which line of the trainer made the call.
 *
 * <p>libdnnl is needed at run time only; {@link io.spd4j.onednn.OneDnn#availability} tells whether
 * it can be used.
 */
package io.spd4j.onednn;
