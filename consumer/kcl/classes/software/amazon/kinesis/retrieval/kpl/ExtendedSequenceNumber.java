package software.amazon.kinesis.retrieval.kpl;

import java.math.BigInteger;
import java.util.List;
import java.util.Objects;

/**
 * A record's place in its shard. Stands before the KCL's own class of this name on the class path (decision 29): that one
 * makes two BigIntegers for every comparison, which was a third of the CPU that a record took of the daemon.
 *
 * `Numbers.java` among the tests compares the two classes.
 */
public class ExtendedSequenceNumber implements Comparable<ExtendedSequenceNumber> {
    public static final ExtendedSequenceNumber LATEST = new ExtendedSequenceNumber("LATEST");
    public static final ExtendedSequenceNumber SHARD_END = new ExtendedSequenceNumber("SHARD_END");
    public static final ExtendedSequenceNumber TRIM_HORIZON = new ExtendedSequenceNumber("TRIM_HORIZON");
    public static final ExtendedSequenceNumber AT_TIMESTAMP = new ExtendedSequenceNumber("AT_TIMESTAMP");

    // By their order: -3, -2 and -1 are before all numbers. SHARD_END is behind them.
    private static final List<String> BEFORE = List.of("AT_TIMESTAMP", "TRIM_HORIZON", "LATEST");

    private final String sequenceNumber;
    private final long subSequenceNumber;

    public ExtendedSequenceNumber(String sequenceNumber) {
        this(sequenceNumber, 0L);
    }

    public ExtendedSequenceNumber(String sequenceNumber, Long subSequenceNumber) {
        this.sequenceNumber = sequenceNumber;
        this.subSequenceNumber = subSequenceNumber == null ? 0 : subSequenceNumber;
    }

    public String sequenceNumber() {
        return sequenceNumber;
    }

    public long subSequenceNumber() {
        return subSequenceNumber;
    }

    public boolean isShardEnd() {
        return sequenceNumber.equals("SHARD_END");
    }

    public boolean isSentinelCheckpoint() {
        return sequenceNumber.equals("SHARD_END") || BEFORE.contains(sequenceNumber);
    }

    @Override
    public int compareTo(ExtendedSequenceNumber other) {
        int order;
        if (isPlain(sequenceNumber) && isPlain(other.sequenceNumber)) {
            // Without leading zeros the longer number is the greater one, and digits are in the order of their characters.
            order = Integer.compare(sequenceNumber.length(), other.sequenceNumber.length());
            order = order != 0 ? order : sequenceNumber.compareTo(other.sequenceNumber);
        } else {
            BigInteger own = value(sequenceNumber);
            BigInteger others = value(other.sequenceNumber);
            if (own == null || others == null) {
                return Boolean.compare(own == null, others == null);
            }
            order = own.compareTo(others);
        }
        return order != 0 ? order : Long.compare(subSequenceNumber, other.subSequenceNumber);
    }

    /** Whether these are ASCII digits only, the first of them no zero. */
    private static boolean isPlain(String text) {
        if (text == null || text.isEmpty() || text.charAt(0) == '0') {
            return false;
        }
        for (int place = 0; place < text.length(); place++) {
            if (text.charAt(place) < '0' || text.charAt(place) > '9') {
                return false;
            }
        }
        return true;
    }

    /** The number that a text stands for, null for the end of the shard. */
    private static BigInteger value(String text) {
        if ("SHARD_END".equals(text)) {
            return null;
        }
        if (text != null && BEFORE.contains(text)) {
            return BigInteger.valueOf(BEFORE.indexOf(text) - BEFORE.size());
        }
        if (text == null || text.isEmpty() || !text.chars().allMatch(Character::isDigit)) {
            throw new IllegalArgumentException("neither a sequence number nor the name of a position: " + text);
        }
        return new BigInteger(text);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ExtendedSequenceNumber
            && subSequenceNumber == ((ExtendedSequenceNumber) other).subSequenceNumber
            && Objects.equals(sequenceNumber, ((ExtendedSequenceNumber) other).sequenceNumber);
    }

    @Override
    public int hashCode() {
        return Objects.hash(sequenceNumber, subSequenceNumber);
    }

    @Override
    public String toString() {
        String number = sequenceNumber == null ? "" : "SequenceNumber: " + sequenceNumber + ",";
        return "{" + number + (subSequenceNumber < 0 ? "" : "SubsequenceNumber: " + subSequenceNumber) + "}";
    }
}
