package portal

import (
	"regexp"
	"slices"

	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// serviceShape and regionShape are what a link may ask for; whether AWS has it is
// the broker's to judge.
var (
	serviceShape = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	regionShape  = regexp.MustCompile(`^[a-z]{2,3}(-[a-z]+){1,3}-[0-9]{1,2}$`)
)

// services are the consoles offered; a link may name any other.
func services(asked string) []page.Option {
	options := []page.Option{
		{Text: "Console home"},
		{Value: "billing", Text: "Billing"},
		{Value: "cloudformation", Text: "CloudFormation"},
		{Value: "cloudwatch", Text: "CloudWatch"},
		{Value: "dynamodb", Text: "DynamoDB"},
		{Value: "ec2", Text: "EC2"},
		{Value: "ecs", Text: "ECS"},
		{Value: "eks", Text: "EKS"},
		{Value: "iam", Text: "IAM"},
		{Value: "lambda", Text: "Lambda"},
		{Value: "rds", Text: "RDS"},
		{Value: "s3", Text: "S3"},
		{Value: "secretsmanager", Text: "Secrets Manager"},
		{Value: "sqs", Text: "SQS"},
		{Value: "vpc", Text: "VPC"},
	}
	return choose(options, asked, serviceShape)
}

// regions are those of a partition; without one asked for, the usual one is
// chosen if the partition has it.
func regions(partition, asked, usual string) []page.Option {
	var options []page.Option
	add := func(region, place string) {
		options = append(options, page.Option{Value: region, Text: region + " (" + place + ")"})
	}
	switch partition {
	case "aws-cn":
		add("cn-north-1", "Beijing")
		add("cn-northwest-1", "Ningxia")
	case "aws-us-gov":
		add("us-gov-east-1", "US-East")
		add("us-gov-west-1", "US-West")
	default:
		commercial(add)
	}
	if asked == "" && slices.ContainsFunc(options, func(o page.Option) bool { return o.Value == usual }) {
		asked = usual
	}
	return choose(options, asked, regionShape)
}

func commercial(add func(region, place string)) {
	add("af-south-1", "Cape Town")
	add("ap-east-1", "Hong Kong")
	add("ap-northeast-1", "Tokyo")
	add("ap-northeast-2", "Seoul")
	add("ap-northeast-3", "Osaka")
	add("ap-south-1", "Mumbai")
	add("ap-south-2", "Hyderabad")
	add("ap-southeast-1", "Singapore")
	add("ap-southeast-2", "Sydney")
	add("ap-southeast-3", "Jakarta")
	add("ap-southeast-4", "Melbourne")
	add("ca-central-1", "Canada")
	add("ca-west-1", "Calgary")
	add("eu-central-1", "Frankfurt")
	add("eu-central-2", "Zurich")
	add("eu-north-1", "Stockholm")
	add("eu-south-1", "Milan")
	add("eu-south-2", "Spain")
	add("eu-west-1", "Ireland")
	add("eu-west-2", "London")
	add("eu-west-3", "Paris")
	add("il-central-1", "Tel Aviv")
	add("me-central-1", "UAE")
	add("me-south-1", "Bahrain")
	add("sa-east-1", "São Paulo")
	add("us-east-1", "N. Virginia")
	add("us-east-2", "Ohio")
	add("us-west-1", "N. California")
	add("us-west-2", "Oregon")
}

// choose marks what was asked for, and adds it where the list lacks it.
func choose(options []page.Option, asked string, shape *regexp.Regexp) []page.Option {
	if i := slices.IndexFunc(options, func(o page.Option) bool { return o.Value == asked }); i >= 0 {
		options[i].Chosen = true
		return options
	}
	if shape.MatchString(asked) {
		options = append(options, page.Option{Value: asked, Text: asked, Chosen: true})
	}
	return options
}
