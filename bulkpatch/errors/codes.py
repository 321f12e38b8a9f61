"""The stable error codes, one explanation each.

BP1xx job file and settings · BP2xx input rows · BP3xx secrets · BP4xx what the API or the network
did · BP5xx how a run was stopped · BP6xx ledger, locks and seals · BP9xx a broken guarantee.
A code is never used again for something else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means: its title, what brings it about, and what to do."""

    title: str
    cause: str
    fix: str


CODES: dict[str, Explanation] = {
    # ── job file and settings ────────────────────────────────────────────────────────────────
    "BP101": Explanation(
        "The job file cannot be read",
        "The path does not exist, is not a regular file, or may not be read.",
        "Check the path; a job is a TOML file, usually in jobs/.",
    ),
    "BP102": Explanation(
        "The job file is not valid TOML",
        "A bracket, quote or value does not follow TOML's grammar, or a key stands twice.",
        "Mend the line that is shown. Only TOML is accepted: no YAML, no JSON.",
    ),
    "BP103": Explanation(
        "Unknown key",
        "The job grammar has no such key at this place; often a typing error.",
        "Use the key that is suggested, or see the job reference.",
    ),
    "BP104": Explanation(
        "A key is missing",
        "The job leaves out something it cannot do without.",
        "Add the key that is named.",
    ),
    "BP105": Explanation(
        "A value has the wrong type or is out of range",
        "The value does not fit its key: a number where text belongs, or a number beyond its limits.",
        "Use a value of the form that is named.",
    ),
    "BP106": Explanation(
        "Not a rate",
        "A rate is a whole number per s, min or h, from 1 to 1000000 a second.",
        'Write it as "5/s", "300/min" or "20000/h".',
    ),
    "BP107": Explanation(
        "Unknown field of the API",
        "The field catalogue has no such path.",
        "Use the path that is suggested, browse `bulkpatch schema`, or set [api] allow_unknown_fields = true.",
    ),
    "BP108": Explanation(
        "The value does not fit the field",
        "The API's schema gives the field another type.",
        "Give a value of the field's type; `bulkpatch schema PATH` shows it.",
    ),
    "BP109": Explanation(
        "More than one vendor object",
        "A destination has one vendor; a body may carry at most one vendor's object.",
        "Split the job by vendor, with [input] where.",
    ),
    "BP110": Explanation(
        "A secret stands in the job file",
        "A secret field under [patch] takes a reference only, so that no secret is ever stored.",
        'Write { secret = "env:NAME" } and put the value where the reference points.',
    ),
    "BP111": Explanation(
        "Not a base URL that may be used",
        "The key goes over verified TLS only; plain http is allowed to loopback addresses.",
        "Use https://…, or http://127.0.0.1:PORT for a simulator.",
    ),
    "BP112": Explanation(
        "Key and base URL do not belong together",
        "A staging key against the production address (or the reverse) is nearly always a mix-up.",
        "Check the key and [api] base_url. If it is meant, say --i-know.",
    ),
    "BP113": Explanation(
        "Not a threshold",
        "max_failed is a whole number of rows, or a share such as 1%.",
        'Write max_failed = 10 or max_failed = "1%"; "100%" never stops.',
    ),
    "BP114": Explanation(
        "Not a duration",
        "A duration is a number and ms, s, m or h.",
        'Write "30s", "5m" or "1h".',
    ),
    "BP115": Explanation(
        "Not to be had here",
        "The job asks for a part that is not installed, or not in a version that will do, or that cannot be loaded.",
        "Install the extra or the package that is named, or leave the key out. Nothing was sent.",
    ),
    "BP116": Explanation(
        "Not a job name",
        "A job's name is also the name of its folders.",
        "Use lower-case letters, digits, dot, underscore and hyphen, beginning with a letter or digit.",
    ),
    "BP117": Explanation(
        "The job changes nothing",
        "Neither [patch] nor a column of the input sets a field.",
        "Add a field under [patch], or a column named by a field path.",
    ),
    "BP118": Explanation(
        "The environment would leak the traffic or the code",
        "SSLKEYLOGFILE writes the keys of every TLS connection to a file.",
        "Unset the variable and start again.",
    ),
    "BP119": Explanation(
        "Too few file descriptors",
        "Each request in flight needs up to two, besides the 32 for everything else.",
        "Lower concurrency, or raise the limit: ulimit -n 4096.",
    ),
    "BP120": Explanation(
        "Command line not understood",
        "A command, option or argument is unknown, missing or out of range.",
        "See bulkpatch --help, or --help of the command.",
    ),
    "BP121": Explanation(
        "Consent is missing",
        "A sending command needs a yes, typed or given as --yes. A production key also asks for the job's name.",
        "Look at the plan, then add --yes (and --confirm NAME for a production key).",
    ),
    "BP122": Explanation(
        "The folder for reports cannot be used",
        "It cannot be made or written, is a link, or others may write to it.",
        "Use a folder of your own: --report-dir DIR.",
    ),
    "BP123": Explanation(
        "No such run",
        "No folder under the report folder has this name, or it holds no ledger.",
        "List the runs with `bulkpatch runs`.",
    ),
    "BP124": Explanation(
        "The run never began",
        "It was ended while its ledger was being written: nothing was sent, and there is nothing to resume.",
        "Start it again with `bulkpatch run`.",
    ),
    "BP125": Explanation(
        "The file exists already",
        "The command would overwrite something of yours.",
        "Name another file or folder, or remove the old one.",
    ),
    "BP126": Explanation(
        "A proxy is set and not used",
        "Requests go to the API directly, over verified TLS: a proxy of the environment would see the key.",
        "Nothing needs to be done where the API can be reached directly; where not, run from a machine that can.",
    ),
    "BP127": Explanation(
        "Metrics or traces cannot be given",
        "The extra is not installed, or the port is taken.",
        "Install the extra that the message names, or give another port.",
    ),
    # ── input rows ───────────────────────────────────────────────────────────────────────────
    "BP201": Explanation(
        "The input cannot be read",
        "It does not exist, is not a regular file, or may not be read.",
        "Check [input] path; it is relative to the job file. Standard input is written -.",
    ),
    "BP202": Explanation(
        "The input is empty",
        "It has no header, or no row below it.",
        "Export it again.",
    ),
    "BP203": Explanation(
        "The input is not UTF-8 text",
        "It is in another encoding, or holds bytes that are no text.",
        "Save it as UTF-8.",
    ),
    "BP204": Explanation(
        "The input is another kind of file",
        "Its first bytes say HTML, zip, gzip, a spreadsheet, or Parquet under another name.",
        "Export the list as CSV, Parquet, NDJSON or Arrow.",
    ),
    "BP205": Explanation(
        "Another separator",
        "The header is a single column that holds ; or a tab.",
        "Save with commas, or name the file .tsv for tabs.",
    ),
    "BP206": Explanation(
        "The header does not hold",
        "A column has no name, a name stands twice, or a name has blanks around it.",
        "Mend the first line.",
    ),
    "BP207": Explanation(
        "The row has another number of cells than the header",
        "A separator is missing or one too many, or a cell with a comma is not quoted.",
        'Quote cells that hold a comma: "a, b".',
    ),
    "BP208": Explanation(
        "A quote is out of place",
        "A quoted cell is not closed, or a quote stands inside an unquoted one.",
        'Quote the whole cell and double the quotes inside: "say ""hello""".',
    ),
    "BP209": Explanation(
        "Blank line",
        "A line is empty where a row is expected.",
        "Remove it, or pass --skip-blank-lines.",
    ),
    "BP210": Explanation(
        "A character that does not belong in text",
        "A NUL or another control character stands in the file.",
        "Export it again; a stray 0x1A at the end comes from old Windows tools.",
    ),
    "BP211": Explanation(
        "Too large",
        "A cell, a line, the number of columns or the nesting of a value is beyond its limit.",
        "Limits: 64 KiB a cell, 512 columns, 64 levels.",
    ),
    "BP212": Explanation(
        "Line ends that are no line ends",
        "The file ends its lines with CR alone (an old Mac export).",
        "Save it with LF or CRLF.",
    ),
    "BP213": Explanation(
        "No id column",
        "The column that [input] id names is not there.",
        'Name the column: [input] id = "…".',
    ),
    "BP214": Explanation(
        "Not a destination id",
        "An id is 1 to 128 letters, digits, _ and -; anything else would change the address of the request.",
        "Mend the cell. Excel spoils ids: export the column as text.",
    ),
    "BP215": Explanation(
        "Unknown column",
        "The column is no field path, is not mapped under [input.columns], and is no label.",
        "Call it like a field, map it under [input.columns], or list it in labels.",
    ),
    "BP216": Explanation(
        "The cell does not fit its field",
        "The field's type in the API's schema is another one; types are never guessed.",
        "Write the value in the form that is named.",
    ),
    "BP217": Explanation(
        "The same destination twice, with different bodies",
        "Two rows name one destination and would set different things.",
        "Keep one of them.",
    ),
    "BP218": Explanation(
        "The row changes nothing",
        "After overrides and defaults, no field is set.",
        "Fill a cell, add a [patch], or leave the row out.",
    ),
    "BP219": Explanation(
        "A column type that is not taken",
        "Ids must be strings; integer, Boolean, string and list columns must fit their field. Nothing is guessed.",
        "Convert the column to text before you write the file.",
    ),
    "BP220": Explanation(
        "The file is truncated or not what its name says",
        "Its magic bytes, footer or records are damaged.",
        "Write it again.",
    ),
    "BP221": Explanation(
        "The input changed while it was read",
        "Size, time or identity of the file differ between first and last byte.",
        "Wait until it is written, then start again.",
    ),
    "BP222": Explanation(
        "The condition does not hold as SQL",
        "[input] where is not an expression that Polars understands over the columns of the input.",
        "Use column names and constants: vendor = 'postgres' AND region <> 'eu'.",
    ),
    "BP223": Explanation(
        "Nothing is left to do",
        "The condition leaves out every row.",
        "Check [input] where.",
    ),
    "BP224": Explanation(
        "A cell for the reference is empty",
        "A {name} in a secret reference is filled from the row, and this row has nothing there.",
        "Fill the cell, or leave the row out with where.",
    ),
    "BP225": Explanation(
        "Ids that differ only by case",
        "Both are sent. It is a warning, since one of them is often a typing error.",
        "Check the two rows.",
    ),
    "BP226": Explanation(
        "Text that may have been meant as nothing",
        "NA, null, None and NaN are sent as they stand. Only an empty cell leaves a field alone.",
        'Empty the cells, or set [input] null = "NA" if they mean JSON null.',
    ),
    "BP227": Explanation(
        "An id that may have been rounded",
        "It is a number of more than 15 digits that ends in zeros, as spreadsheets make them.",
        "Compare it with the source; export the column as text.",
    ),
    "BP228": Explanation(
        "A column of the job is not in the input",
        "labels, [input.columns], { column = … }, a {name} in a reference or where names one that the header lacks.",
        "Mend the name in the job, or add the column.",
    ),
    "BP229": Explanation(
        "A cell that may not stand in a reference",
        "It is filled into a {name} of a secret reference, where a blank, a slash or a leading hyphen would change it.",
        "Use letters, digits and _ . @ + - there, up to 128, or a column made for the purpose.",
    ),
    # ── secrets ──────────────────────────────────────────────────────────────────────────────
    "BP301": Explanation(
        "Not a secret reference",
        "A secret field takes a reference: a scheme, a colon, and where the value lives.",
        "Write env:NAME, file:PATH, fd:N or exec:COMMAND, or set [input] inline_secrets = true for values in cells.",
    ),
    "BP302": Explanation(
        "The secret is not there",
        "The variable is not set, the file does not exist, or the descriptor is closed.",
        "Provide it where the reference points.",
    ),
    "BP303": Explanation(
        "The secret's file is not private",
        "It must be a regular file of yours with mode 0600 or 0400, no link, at most 64 KiB.",
        "Make it one that only you can read: chmod 600 FILE.",
    ),
    "BP304": Explanation(
        "The secret cannot be used",
        "It is empty or a mask (****, <redacted>), has a CR, NUL or outer blank, or, as the API key, a line break.",
        "Put the true value where the reference points. One final newline of a file, pipe or command is taken off.",
    ),
    "BP305": Explanation(
        "The secret is too short to be watched",
        "Shorter than 6 bytes, it would be found everywhere, so leaks of it cannot be told.",
        "Use a longer one, or set [secrets] allow_short = true: it is then not searched for.",
    ),
    "BP306": Explanation(
        "The secret store failed",
        "The command or service behind the reference did not answer, or refused.",
        "Try the reference by hand. After the first send, the run stops with its rows pending: resume it.",
    ),
    "BP307": Explanation(
        "Unknown kind of reference",
        "No installed package provides this scheme.",
        "Use env: file: fd: exec:, or install the extra that brings it.",
    ),
    "BP308": Explanation(
        "The reference names no version",
        "[secrets] pin_versions asks that every row's reference names the version that is sent, so that a store which"
        " is written to meanwhile changes nothing.",
        "End it with ?version=…, or take it from a store that has versions, or leave pin_versions out.",
    ),
    # ── what the API or the network did ──────────────────────────────────────────────────────
    "BP401": Explanation(
        "The API refused the row",
        "It answered 4xx, or 2xx with a status other than success. Repeating it would not help.",
        "Read the API's message, mend the row in failures.csv, and run that.",
    ),
    "BP402": Explanation(
        "The API refused the key",
        "It answered 401 (or 403 before anything had worked).",
        "Check the key and the base URL that it is for. A run that had begun lost nothing: resume with the right key.",
    ),
    "BP403": Explanation(
        "The API redirected",
        "The base URL answered 3xx. The key is never sent to another address.",
        "Set [api] base_url to the address the API really has.",
    ),
    "BP404": Explanation(
        "No such destination",
        "The API answered 404 for this id.",
        "Check the id and the environment of the key.",
    ),
    "BP405": Explanation(
        "The API is not who it should be",
        "Its certificate is expired, for another host, or from an authority that is not trusted.",
        "Check the base URL and the clock. For a private authority, give its file: SSL_CERT_FILE is not read.",
    ),
    "BP406": Explanation(
        "The API asked to slow down",
        "It answered 429, or 503 with Retry-After.",
        "The row waits; if many are told so, all go slower for a while. If it goes on, lower [send] rate.",
    ),
    "BP407": Explanation(
        "The API was not reached",
        "The name was not found, the connection refused or not made in time. Nothing was sent.",
        "Check network and base URL, then resume.",
    ),
    "BP408": Explanation(
        "The connection broke before the whole answer",
        "The request may have been applied. It is sent again, since it sets absolute values.",
        "None needed; a row that ends unknown can be read back.",
    ),
    "BP409": Explanation(
        "No whole answer in time",
        "The attempt took longer than [send] timeout. It may have been applied.",
        "Raise timeout if the API is slow.",
    ),
    "BP410": Explanation(
        "The answer was not understood",
        "A 2xx whose body is not the JSON the API promises, or has no destination in it.",
        "Look at what stands between you and the API. The row may have been applied.",
    ),
    "BP411": Explanation(
        "The API failed",
        "It answered 5xx. Except for 503, the request may have been applied.",
        "Wait and resume; rows that ended unknown can be read back.",
    ),
    "BP412": Explanation(
        "The answer is too large or encoded",
        "It is over 1 MiB, has too many headers, or is compressed though that was not asked for.",
        "Look at what stands between you and the API.",
    ),
    "BP413": Explanation(
        "Wrong target",
        "The API answered for another destination than the one asked. The run stops: nothing can be trusted.",
        "Look at what stands between you and the API before you resume.",
    ),
    "BP414": Explanation(
        "The wait that the API asks for is too long",
        "Retry-After is over 600 seconds.",
        "Resume when the time has passed.",
    ),
    "BP415": Explanation(
        "The row waited too long",
        "It was told to wait 10 times, or for 30 minutes.",
        "Lower the rate and run the row again.",
    ),
    "BP416": Explanation(
        "The service is not available",
        "503 without Retry-After: the request was not processed.",
        "Wait and resume.",
    ),
    "BP417": Explanation(
        "The body cannot be built",
        "The row's reference or value did not hold when its turn came.",
        "Mend the row and run it again.",
    ),
    "BP418": Explanation(
        "The answer was lost with the process",
        "bulkpatch was ended while a request was under way, so it may have been applied.",
        "None needed: resume sends the row again, since it sets absolute values.",
    ),
    "BP419": Explanation(
        "The connection test is not there",
        "The API answered 404 or 405 to test-connection. The stage was passed over, which is not the same as passed.",
        'Set [verify] connection_test = "off", or use an API that has the test.',
    ),
    "BP420": Explanation(
        "The verification had no verdict in time",
        "The connection test was still running when [verify] deadline had passed.",
        "Raise the deadline, or look at the destination yourself.",
    ),
    "BP421": Explanation(
        "The connection test failed",
        "The API tried the connection and says no. Before the patch, nothing was changed; after it, it was.",
        "Read the API's message. An unverified row was changed: put its old value back if it was good.",
    ),
    "BP422": Explanation(
        "A guard of the row does not hold",
        "The live state has another value than [expect] asks for. The row was not sent.",
        "Look at the destination, or leave the row out.",
    ),
    "BP423": Explanation(
        "The destination is of another vendor",
        "The body holds fields of a vendor that the destination is not. It was not sent.",
        "Mend the row: a body has fields of its destination's own vendor only.",
    ),
    "BP424": Explanation(
        "Settled later: it was applied",
        "Reading the destination back showed what the row sets, and not what stood there before.",
        "None needed.",
    ),
    "BP425": Explanation(
        "Settled later: it was not applied",
        "Reading the destination back showed that at least one field is not as the row sets it.",
        "Run the row again: bulkpatch retry.",
    ),
    "BP426": Explanation(
        "The credentials cannot be changed by a PATCH",
        "The destination signs in another way than the body sets credentials for, or the key is one that Prequel makes:"
        " Snowflake key pairs, SFTP and SSH keys. It was not sent.",
        "Set the selector (auth_method) in the same row if the way of signing in is to change; a key that Prequel makes"
        " is replaced with Prequel.",
    ),
    # ── how a run was stopped ────────────────────────────────────────────────────────────────
    "BP501": Explanation(
        "Too many rows failed",
        "More rows failed than [guard] max_failed allows.",
        "Look at the failures, then resume, or raise the guard.",
    ),
    "BP502": Explanation(
        "The API seems to be down",
        "Most of the last answers were failures of the API or the network; probes failed too.",
        "Resume when it is back. Rows not sent are pending.",
    ),
    "BP503": Explanation(
        "Interrupted",
        "A signal asked the run to stop; what was in flight was waited for.",
        "Resume it.",
    ),
    "BP505": Explanation(
        "One part of the fleet is held back",
        "Most answers for one vendor, or one way of signing in to it, were failures, and so were the probes.",
        "Look at what its rows have in common, then resume: they are pending.",
    ),
    "BP506": Explanation(
        "The gate of a wave did not hold",
        "More of the wave's rows failed than its gate allows; of a canary, none may.",
        "Mend the cause, then send the failed and the untouched rows as a new run, with its own waves: bulkpatch retry "
        "RUN. A resume stops at the same gate again.",
    ),
    "BP507": Explanation(
        "Ended by a person",
        "`bulkpatch abort` was called for the run; what was in flight was waited for.",
        "Resume it, if it is to go on.",
    ),
    "BP508": Explanation(
        "The destination changed since the plan",
        "Its updated_at or its settings are not those that the plan saw.",
        "Make a new plan, or set [send] on_drift to send or stop.",
    ),
    "BP509": Explanation(
        "A wave is through, and its gate holds",
        "[[wave]] gate asks for time, for transfers or for a person before more of the fleet is touched.",
        "Wait, or decide: bulkpatch approve RUN, bulkpatch abort RUN.",
    ),
    "BP510": Explanation(
        "The rows of a credential are held",
        "As many connection tests of it failed as [verify] credential_failures allows before one has passed. More might"
        " lock the account. Other credentials went on.",
        "Mend the secret where its reference points, then resume: the held rows are pending. Each process counts anew.",
    ),
    "BP511": Explanation(
        "A plugin at a gate said no",
        "The gate of another package that [[wave]] gate names does not let the next wave begin.",
        "Read its reason. A resume asks it again before anything more is sent.",
    ),
    "BP512": Explanation(
        "A plugin at a gate gave no verdict",
        "It failed, gave something else than a verdict, or did not answer within 60 seconds. No wave begins unasked.",
        "Mend the plugin or what it asks, then resume: it is asked again before anything more is sent.",
    ),
    "BP513": Explanation(
        "Steered from another terminal",
        "`bulkpatch pause`, `continue`, `approve` or `throttle` was called for the run; the ledger has who and when.",
        "Nothing, if it was meant; `bulkpatch status` shows what holds now.",
    ),
    "BP504": Explanation(
        "Nothing may leave for so long",
        "Waits that the API asks for come to more than 600 seconds.",
        "Resume later.",
    ),
    # ── ledger, locks and seals ──────────────────────────────────────────────────────────────
    "BP601": Explanation(
        "Held by another process",
        "Another bulkpatch works on this run.",
        "Wait for it, or end it; the lock goes with the process.",
    ),
    "BP602": Explanation(
        "The input is not the one that was planned",
        "Its bytes differ from those that the run was started with.",
        "Put the original back, or start a new run with the new input.",
    ),
    "BP603": Explanation(
        "The job is not the one that was planned",
        "The job file differs from the one that the run was started with.",
        "Put the original back, or start a new run.",
    ),
    "BP604": Explanation(
        "The ledger is from a newer version",
        "It was written by a bulkpatch that is newer than this one; it was left untouched.",
        "Use that version.",
    ),
    "BP605": Explanation(
        "The ledger is damaged",
        "It is no SQLite file of ours, is empty, or fails its integrity check. It was left untouched.",
        "Restore it from a backup. What was sent stands in the API's audit log.",
    ),
    "BP606": Explanation(
        "The disk is full",
        "The ledger could not be written, so sending stopped. Nothing that was durable is lost.",
        "Free some space, then resume.",
    ),
    "BP607": Explanation(
        "The disk fails",
        "A write or fsync of the ledger returned an error; what it wrote is not trusted again.",
        "Check the disk, then resume.",
    ),
    "BP608": Explanation(
        "The run is over",
        "Every row has its outcome; there is nothing to resume.",
        "See `bulkpatch report`, or `bulkpatch retry` for the failed rows.",
    ),
    "BP609": Explanation(
        "The file system is not safe for a ledger",
        "SQLite's locks do not hold on network file systems.",
        "Use a local disk: --report-dir DIR.",
    ),
    "BP610": Explanation(
        "A dry run is not resumed",
        "It sent nothing, so there is nothing to go on with.",
        "Use `bulkpatch run`.",
    ),
    "BP611": Explanation(
        "The run does not answer",
        "No process works on it, or the one that does gave no whole answer in time; it may still act.",
        "See `bulkpatch status`; if nobody works on it, `bulkpatch resume` goes on.",
    ),
    "BP612": Explanation(
        "The run refused the command",
        "It does not fit where the run stands, names another run, or comes from another user.",
        "Read what it says, and see `bulkpatch status`.",
    ),
    "BP613": Explanation(
        "The plan is not to be used",
        "It was used before, was changed since it was made, or is no plan file.",
        "Make a new plan: bulkpatch plan JOB -o FILE.",
    ),
    "BP614": Explanation(
        "Not the API that the run was sent to",
        "What another API shows, or a simulator that ended with its run, says nothing about this run's rows.",
        "Give the base URL that the run had: --base-url.",
    ),
    # ── broken guarantees ────────────────────────────────────────────────────────────────────
    "BP901": Explanation(
        "Internal error",
        "bulkpatch met something it does not expect. The ledger is safe.",
        "Resume; report the error with the lines that are shown.",
    ),
    "BP902": Explanation(
        "A secret was found where none may be",
        "The leak check found a live secret in a file of the run.",
        "Treat the folder as secret, rotate the value, and report this.",
    ),
    "BP903": Explanation(
        "The report does not add up",
        "An input row is missing from the outcomes, or stands there twice.",
        "Keep the folder and report this.",
    ),
    "BP904": Explanation(
        "The command of [hooks] came to nothing",
        "It did not start, took too long, or ended with an exit code of its own. The run is not touched by it.",
        "Try the command by itself, in the job's folder, with the variables that docs/operating.md names.",
    ),
    "BP905": Explanation(
        "A report writer came to nothing",
        "A writer of another package that [report] names failed, took too long, or left what is no plain file. The"
        " report itself is whole, and the exit code is what it would be without.",
        "Mend the plugin, then write the report again: bulkpatch report RUN.",
    ),
}
