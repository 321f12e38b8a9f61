#compdef bulkpatch

_cyclopts_bulkpatch() {
  local line state

  _arguments -C \
    '--help[Display this message and exit.]' \
    '-h[Display this message and exit.]' \
    '--version[Display application version.]' \
    '1: :->cmds' \
    '*::arg:->args'

  case $state in
    cmds)
      local -a commands
      commands=(
        'schema:The API'\''s fields, their types, and which are secret.'
        'init:Write a job and a sample input to start from.'
        'config:Every setting in force, and where it comes from.'
        'doctor:Look at machine, settings and the way to the API, before a run does.'
        'completion:Print what lets bash, zsh or fish complete commands and run ids.'
        'sim:Serve a simulated API on this machine.'
        'demo:A fleet update with faults, a kill and a resume, on the simulator.'
        'status:Where a run stands, live or after a crash.'
        'runs:Every run in the report folder.'
        'report:The outcomes of a run, grouped as you like.'
        'explain:What an error code means, or one row'\''s whole story.'
        'check:Parse a job and every row; report all errors at once.'
        'plan:Show what a job would change in the live fleet. Writes nothing.'
        'run:Plan a job, then send it.'
        'resume:Go on where a run stopped, for whatever reason.'
        'retry:Send the failed rows of a run again, as a new run.'
        'reconcile:Ask the API about unknown rows; settle what can be settled.'
        'reverse:Write the job and input that undo a run.'
        'pause:Begin nothing more for now in a live run.'
        'continue:Go on after a pause.'
        'approve:Let the next wave begin.'
        'throttle:Change the rate of a live run, or ask for it (?).'
        'abort:Stop a live run; it can be resumed.'
      )
      _describe -t commands 'command' commands
      ;;
    args)
      case $words[1] in
        schema)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
          esac
          _arguments \
            '1:A field, an object or a vendor; everything without it.' \
            '*--path[A field, an object or a vendor; everything without it.]:path' \
            '*--search[Only what has these words in its path, values or description.]:search' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        init)
          case ${words[CURRENT]} in
            --kind=*)
              compset -P '--kind='
              compadd -- 'rotate' 'migrate' 'toggle'
              return
              ;;
            --folder=*)
              compset -P '--folder='
              _files
              return
              ;;
            --verify=*)
              compset -P '--verify='
              compadd -- 'off' 'before' 'after' 'both'
              return
              ;;
            --to=*)
              compset -P '--to='
              compadd -- 'on' 'off'
              return
              ;;
          esac
          _arguments \
            "1:rotate (credentials), migrate (machine types) or toggle (switch on and off).:(rotate migrate toggle)" \
            "*--kind[rotate (credentials), migrate (machine types) or toggle (switch on and off).]:kind:(rotate migrate toggle)" \
            '*--name[The job'\''s name.]:name' \
            '*--folder[Where the files go.]:folder:_files' \
            '*--field[rotate\: the secret field, or a vendor for its first one.]:field' \
            '*--secret[rotate\: where the secrets are\: \"env\:PW_{customer}\".]:secret' \
            "*--verify[rotate\: when each connection is tested.]:verify:(off before after both)" \
            '*--machine-type[migrate\: the machine type'\''s id.]:machine-type' \
            "*--to[toggle\: what they are switched to.]:to:(on off)" \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--canary[Destinations of a first wave; 0\: no waves.]:canary' \
            '*--base-url[Address of the API.]:base-url' \
            '--yes[Ask nothing\: defaults for what has no flag.]' \
            '-y[Ask nothing\: defaults for what has no flag.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        config)
          case ${words[CURRENT]} in
            --job=*)
              compset -P '--job='
              _files
              return
              ;;
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:A job file; without it only flags, environment and user config are shown.:_files' \
            '*--job[A job file; without it only flags, environment and user config are shown.]:job:_files' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        doctor)
          case ${words[CURRENT]} in
            --job=*)
              compset -P '--job='
              _files
              return
              ;;
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:The job whose address and concurrency count; without it those of flags, environ…:_files' \
            '*--job[The job whose address and concurrency count; without it those of flags, environ…]:job:_files' \
            '--offline[Do not ask whether the API answers.]' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--concurrency[Requests in flight at most.]:concurrency' \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        completion)
          case ${words[CURRENT]} in
            --shell=*)
              compset -P '--shell='
              compadd -- 'bash' 'zsh' 'fish'
              return
              ;;
          esac
          _arguments \
            "1:bash, zsh or fish.:(bash zsh fish)" \
            "*--shell[bash, zsh or fish.]:shell:(bash zsh fish)" \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        sim)
          _arguments \
            '*--port[Port on 127.0.0.1; 0 takes a free one.]:port' \
            '*--destinations[How many destinations there are.]:destinations' \
            '*--ids[File with one destination id a line, instead.]:ids' \
            '*--seed[Seed of the fleet and its faults.]:seed' \
            '*--faults[none, some, rough, or kinds with shares\: 500=0.03,reset_after=0.02]:faults' \
            '*--rate[The API'\''s own limit, such as 10/s.]:rate' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        demo)
          case ${words[CURRENT]} in
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '*--rows[Destinations in the fleet.]:rows' \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        status)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        runs)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        report)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json' 'csv' 'html' 'parquet' 'md'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            '*--by[Columns, labels or credential to group by, with commas between.]:by' \
            '--verified[List the verified rows alone\: the only input that a revocation may use.]' \
            "*--output[Form of the result.]:output:(text json csv html parquet md)" \
            "*-o[Form of the result.]:o:(text json csv html parquet md)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        explain)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:An error code such as BP402, or a run.' \
            '2:A destination id, if a run was named.' \
            '*--what[An error code such as BP402, or a run.]:what' \
            '*--row[A destination id, if a run was named.]:row' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        check)
          case ${words[CURRENT]} in
            --job=*)
              compset -P '--job='
              _files
              return
              ;;
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:The job file.:_files' \
            '*--job[The job file.]:job:_files' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        plan)
          case ${words[CURRENT]} in
            --job=*)
              compset -P '--job='
              _files
              return
              ;;
            --out=*)
              compset -P '--out='
              _files
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:The job file.:_files' \
            '*--job[The job file.]:job:_files' \
            '*--out[Keep the plan here, to be run once\: FILE.bpplan.]:out:_files' \
            '*-o[Keep the plan here, to be run once\: FILE.bpplan.]:o:_files' \
            '--offline[Do not read the fleet.]' \
            '--json[One JSON object on stdout.]' \
            '--detailed-exitcode[Exit 5 if there is work to do.]' \
            '--simulate[Read an embedded simulator of the API.]' \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        run)
          case ${words[CURRENT]} in
            --job=*)
              compset -P '--job='
              _files
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:The job file, or a plan that bulkpatch plan -o kept.:_files' \
            '*--job[The job file, or a plan that bulkpatch plan -o kept.]:job:_files' \
            '--dry-run[Read the fleet and report; write nothing.]' \
            '--simulate[Send to an embedded simulator of the API.]' \
            '*--faults[Faults of the simulator\: none, some, rough, or 500=0.03,…]:faults' \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '*--concurrency[Requests in flight at most.]:concurrency' \
            '--yes[Send without asking.]' \
            '-y[Send without asking.]' \
            '*--confirm[The job'\''s name; asked for with a production key.]:confirm' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        resume)
          case ${words[CURRENT]} in
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            '--accept-input-changes[The input was edited\: send what is new or changed, as a new run.]' \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '*--concurrency[Requests in flight at most.]:concurrency' \
            '--yes[Send without asking.]' \
            '-y[Send without asking.]' \
            '*--confirm[The job'\''s name; asked for with a production key.]:confirm' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        retry)
          case ${words[CURRENT]} in
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            '*--only[States to take, with commas between.]:only' \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '*--concurrency[Requests in flight at most.]:concurrency' \
            '--yes[Send without asking.]' \
            '-y[Send without asking.]' \
            '*--confirm[The job'\''s name; asked for with a production key.]:confirm' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        reconcile)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        reverse)
          case ${words[CURRENT]} in
            --out=*)
              compset -P '--out='
              _files
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            '*--out[Folder for the job and its input; nothing is overwritten.]:out:_files' \
            '*-o[Folder for the job and its input; nothing is overwritten.]:o:_files' \
            '--json[One JSON object on stdout.]' \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        pause)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        continue)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        approve)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        throttle)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '2:Requests per s, min or h, such as 2/s; ? says which holds.' \
            '*--run[A run id, a folder, or latest.]:run' \
            '*--rate[Requests per s, min or h, such as 2/s; ? says which holds.]:rate' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
        abort)
          case ${words[CURRENT]} in
            --output=*)
              compset -P '--output='
              compadd -- 'text' 'json'
              return
              ;;
            --report-dir=*)
              compset -P '--report-dir='
              _files
              return
              ;;
            --progress=*)
              compset -P '--progress='
              compadd -- 'live' 'plain' 'none'
              return
              ;;
            --metrics-file=*)
              compset -P '--metrics-file='
              _files
              return
              ;;
          esac
          _arguments \
            '1:run:_bulkpatch_runs' \
            '*--run[A run id, a folder, or latest.]:run' \
            "*--output[Form of the result.]:output:(text json)" \
            "*-o[Form of the result.]:o:(text json)" \
            '*--base-url[Address of the API; wins over the job.]:base-url' \
            '*--rate[Requests per second, minute or hour\: \"5/s\".]:rate' \
            '*--limit[Take only the first N rows.]:limit' \
            '*--report-dir[Where run folders lie (default\: reports).]:report-dir:_files' \
            "*--progress[How progress is shown.]:progress:(live plain none)" \
            '*--metrics-file[OpenMetrics file, replaced each second.]:metrics-file:_files' \
            '*--metrics-port[Serve the same on 127.0.0.1.]:metrics-port' \
            '--otel[Export OpenTelemetry spans.]' \
            '--quiet[Say the verdict only.]' \
            '-q[Say the verdict only.]' \
            '--verbose[Log more; -vv logs every request.]' \
            '-v[Log more; -vv logs every request.]' \
            '--skip-blank-lines[Pass over empty lines of the input.]' \
            '--decompress[Take gzip input, up to 1 GiB.]' \
            '--i-know[The key and the base URL do belong together.]' \
            '--help[Display this message and exit.]' \
            '-h[Display this message and exit.]' \
            '--version[Display application version.]'

          ;;
      esac
      ;;
  esac
}


_bulkpatch_runs() {
  local -a runs
  runs=( latest "${BULKPATCH_REPORT_DIR:-reports}"/*/ledger.sqlite(N:h:t) )
  compadd -a runs
}
compdef _cyclopts_bulkpatch bulkpatch
