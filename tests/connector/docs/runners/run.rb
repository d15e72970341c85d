# Asks a snippet (the first argument) about each line of JSON; answers with one line each.
require "json"
require File.expand_path(ARGV.fetch(0))

$stdout.sync = true
$stdin.each_line do |line|
  asked = JSON.parse(line)
  values = asked.values_at("secret", "id", "timestamp", "signatures")
  said =
    begin
      { value: genuine?(*values, asked["body"].unpack1("m0")) }
    rescue ArgumentError => error
      { error: error.message }
    end
  puts JSON.generate(said)
end
